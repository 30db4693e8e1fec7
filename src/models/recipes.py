"""Recipes: steps with a name, in versions that never change."""

from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, Index
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from src.models.base import Base, CreatedAt, Id


class Recipe(Base):
    """Its newest version is what is meant where none is named."""

    __tablename__ = "recipe"
    __table_args__ = (Index("ix_recipe_owner_id_id", "owner_id", "id"),)

    id: Mapped[Id]
    owner_id: Mapped[UUID] = mapped_column(ForeignKey("account.id"))
    name: Mapped[str]
    version: Mapped[int] = mapped_column(default=1)
    created_at: Mapped[CreatedAt]


class RecipeVersion(Base):
    """The steps as they were saved; they never change."""

    __tablename__ = "recipe_version"

    recipe_id: Mapped[UUID] = mapped_column(ForeignKey("recipe.id", ondelete="CASCADE"), primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True)
    steps: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)
    created_at: Mapped[CreatedAt]
