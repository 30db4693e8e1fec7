"""Accounts, logins and API keys, as they come and go."""

from datetime import UTC, datetime, timedelta

from marshmallow import ValidationError, fields, validate

from src.api.schemas.base import Schema
from src.api.schemas.lists import ListQuery, list_schema
from src.domain.roles import Role

ROLES = validate.OneOf([role.value for role in Role])
USERNAME = validate.Regexp(
    r"^[A-Za-z0-9][A-Za-z0-9._-]{1,63}$(?!\n)", error="2 to 64 letters, digits, dots, dashes."
)
NAME = validate.Length(max=200)
PASSWORD = {"description": "8 to 256 characters; common ones are refused.", "format": "password"}


def _within_ten_years(moment: datetime) -> None:
    if not timedelta(0) < moment - datetime.now(UTC) < timedelta(days=3_653):
        raise ValidationError("It must lie in the future, and within ten years.")


class AccountSchema(Schema):
    id = fields.UUID(required=True)
    email = fields.String(required=True, allow_none=True)
    username = fields.String(required=True, allow_none=True)
    name = fields.String(required=True)
    role = fields.String(required=True, validate=ROLES)
    is_disabled = fields.Boolean(required=True)
    stored_bytes = fields.Integer(required=True)
    created_at = fields.AwareDateTime(required=True)
    updated_at = fields.AwareDateTime(required=True)


class RegisterSchema(Schema):
    email = fields.Email(validate=validate.Length(max=254))
    username = fields.String(validate=USERNAME)
    password = fields.String(required=True, metadata=PASSWORD)
    name = fields.String(load_default="", validate=NAME)


class AccountCreateSchema(RegisterSchema):
    role = fields.String(load_default=Role.OPERATOR.value, validate=ROLES)


class AccountPatchSchema(Schema):
    name = fields.String(validate=NAME)
    role = fields.String(validate=ROLES, metadata={"example": Role.OPERATOR.value})
    is_disabled = fields.Boolean(metadata={"example": False})


class LoginSchema(Schema):
    email = fields.String(metadata={"description": "E-mail or username; one of the two members is enough."})
    username = fields.String()
    password = fields.String(required=True)


class RefreshSchema(Schema):
    refresh = fields.String(required=True)


class PasswordSchema(Schema):
    current = fields.String(required=True)
    new = fields.String(required=True, metadata=PASSWORD)


class GrantSchema(Schema):
    user = fields.Nested(AccountSchema, required=True)
    access = fields.String(
        required=True, metadata={"description": "For the Authorization header; 10 minutes."}
    )
    refresh = fields.String(required=True, metadata={"description": "Good once, for /auth/refresh; 14 days."})
    token = fields.String(required=True, metadata={"description": "The same as `access`."})


class NewPasswordSchema(Schema):
    password = fields.String(required=True, metadata={"description": "Shown this once."})


class AccountQuery(ListQuery):
    role = fields.String(validate=ROLES)
    is_disabled = fields.Boolean()


class ApiKeySchema(Schema):
    id = fields.UUID(required=True)
    account_id = fields.UUID(required=True)
    name = fields.String(required=True)
    prefix = fields.String(required=True)
    scopes = fields.List(fields.String(), required=True)
    expires_at = fields.AwareDateTime(required=True, allow_none=True)
    revoked_at = fields.AwareDateTime(required=True, allow_none=True)
    last_used_at = fields.AwareDateTime(required=True, allow_none=True)
    created_at = fields.AwareDateTime(required=True)


class NewApiKeySchema(ApiKeySchema):
    key = fields.String(required=True, metadata={"description": "The secret, shown this once."})


class ApiKeyCreateSchema(Schema):
    name = fields.String(required=True, validate=validate.Length(min=1, max=100))
    scopes = fields.List(fields.String(), required=True, validate=validate.Length(min=1, max=50))
    expires_at = fields.AwareDateTime(allow_none=True, load_default=None, validate=_within_ten_years)


ACCOUNT = AccountSchema()
API_KEY = ApiKeySchema()
AccountList = list_schema(AccountSchema)
ApiKeyList = list_schema(ApiKeySchema)
