"""Recipes: steps that are kept, to start operations with."""

from typing import Any
from uuid import UUID

from flask import Response

from src.api.authentication import actor, owner_filter
from src.api.blueprint import OPERATOR, VIEWER, Blueprint
from src.api.conditional import check_if_match, with_etag
from src.api.lists import listing
from src.api.schemas.lists import ListQuery
from src.api.schemas.recipes import (
    RECIPE,
    VERSIONS,
    OneRecipeSchema,
    RecipeList,
    RecipeStartSchema,
    RecipeVersionStartSchema,
)
from src.models import Recipe
from src.wiring import Services, services

blp = Blueprint("recipes", url_prefix="/api/v1/recipes", description="Steps with a name.", for_keys=True)


@blp.get("", needs=VIEWER)
@blp.arguments(ListQuery, location="query")
@blp.lists(RecipeList)
def list_recipes(query: dict[str, Any]) -> Response:
    """My recipes, newest first; for administrators, everybody's."""
    owner_id = owner_filter()
    return listing(query, RECIPE, lambda s, page: s.recipe_rows.search(page, owner_id=owner_id), "recipes")


@blp.post("", needs=OPERATOR)
@blp.arguments(RecipeStartSchema)
@blp.response(201, OneRecipeSchema)
def create_recipe(body: dict[str, Any]) -> Response:
    """Save steps under a name, as version 1."""
    with services() as s:
        recipe = s.recipes.create(body["name"], body["steps"], actor())
        return _answer(s, recipe, 201)


@blp.get("/<uuid:recipe_id>", needs=VIEWER)
@blp.response(200, OneRecipeSchema)
def get_recipe(recipe_id: UUID) -> Response:
    """One recipe with all its versions, the newest first."""
    with services() as s:
        return _answer(s, s.recipe_rows.get_own(recipe_id, owner_filter()))


@blp.post("/<uuid:recipe_id>/versions", needs=OPERATOR)
@blp.arguments(RecipeVersionStartSchema)
@blp.response(201, OneRecipeSchema)
def add_recipe_version(body: dict[str, Any], recipe_id: UUID) -> Response:
    """Other steps from now on; the earlier versions stay as they are."""
    with services() as s:
        return _answer(s, s.recipes.add_version(_to_change(s, recipe_id), body["steps"], actor()), 201)


@blp.delete("/<uuid:recipe_id>", needs=OPERATOR)
@blp.response(204)
def delete_recipe(recipe_id: UUID) -> Response:
    """Delete the recipe; what was made with it stays, with its steps."""
    with services() as s:
        s.recipes.delete(_to_change(s, recipe_id), actor())
    return Response(status=204)


def _to_change(s: Services, recipe_id: UUID) -> Recipe:
    """The recipe, locked, unless the caller has seen another one."""
    recipe = s.recipe_rows.get_own(recipe_id, owner_filter(), is_locked=True)
    check_if_match(recipe, RECIPE)
    return recipe


def _answer(s: Services, recipe: Recipe, status: int = 200) -> Response:
    versions = VERSIONS.dump({"versions": s.recipe_rows.versions(recipe.id)})
    answer = with_etag(recipe, RECIPE, status, more=versions)
    if status == 201:
        answer.headers["Location"] = f"/api/v1/recipes/{recipe.id}"
    return answer
