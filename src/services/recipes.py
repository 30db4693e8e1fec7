"""Recipes: steps that are kept under a name; a new version never changes an old one."""

from typing import Any

from sqlalchemy.orm import Session

from src.domain.roles import Actor
from src.models import Recipe
from src.repositories.recipes import RecipeRepository
from src.services.audit import AuditTrail

Steps = list[dict[str, Any]]


class RecipeService:
    def __init__(self, session: Session) -> None:
        self.session = session
        self.recipes = RecipeRepository(session)
        self.audit = AuditTrail(session)

    def create(self, name: str, steps: Steps, by: Actor) -> Recipe:
        recipe = self.recipes.add(Recipe(owner_id=by.account_id, name=name, version=1))
        self.recipes.add_version(recipe, steps)
        self.audit.note(by, "recipe.created", "recipe", recipe.id)
        return recipe

    def add_version(self, recipe: Recipe, steps: Steps, by: Actor) -> Recipe:
        """The steps as they are from now on; whoever asked for an earlier version still gets that one."""
        recipe.version += 1
        self.recipes.add_version(recipe, steps)
        self.audit.note(by, "recipe.changed", "recipe", recipe.id, version=recipe.version)
        return recipe

    def delete(self, recipe: Recipe, by: Actor) -> None:
        """Operations that were made with it keep their steps."""
        self.audit.note(by, "recipe.deleted", "recipe", recipe.id, name=recipe.name)
        self.recipes.delete(recipe)
