"""Recipes and their versions, seen by their owner and by admins only."""

from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import select

from src.domain.errors import NotFound
from src.domain.paging import Page, PageQuery
from src.models import Recipe, RecipeVersion
from src.repositories.owned import OwnedRepository


class RecipeNotFound(NotFound):
    slug = "recipe-not-found"
    title = "There is no such recipe, or it is not yours"


class RecipeVersionNotFound(NotFound):
    slug = "recipe-version-not-found"
    title = "The recipe has no such version"


class RecipeRepository(OwnedRepository[Recipe]):
    model = Recipe
    orderings: ClassVar = {"id": Recipe.id, "created_at": Recipe.created_at}
    missing = RecipeNotFound

    def search(self, query: PageQuery, *, owner_id: UUID | None) -> Page[Recipe]:
        return self.own_page(query, owner_id)

    def versions(self, recipe_id: UUID) -> list[RecipeVersion]:
        """All of them, the newest first."""
        statement = select(RecipeVersion).where(RecipeVersion.recipe_id == recipe_id)
        return list(self.session.scalars(statement.order_by(RecipeVersion.version.desc())))

    def get_version(self, recipe: Recipe, version: int | None) -> RecipeVersion:
        """One version of the recipe, or its newest."""
        found = self.session.get(RecipeVersion, (recipe.id, version or recipe.version))
        if found is None:
            raise RecipeVersionNotFound(f"«{recipe.name}» has the versions 1 to {recipe.version}.")
        return found

    def add_version(self, recipe: Recipe, steps: list[dict[str, Any]]) -> RecipeVersion:
        found = RecipeVersion(recipe_id=recipe.id, version=recipe.version, steps=steps)
        self.session.add(found)
        self.session.flush()
        self.session.refresh(found)
        return found

    def delete(self, recipe: Recipe) -> None:
        self.session.delete(recipe)
        self.session.flush()
