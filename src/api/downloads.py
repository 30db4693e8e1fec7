"""Downloads by signed links, for whoever has one."""

from flask import Response

from src.api.blueprint import BINARY, PUBLIC, Blueprint
from src.api.exports import note_download
from src.api.files import content_of
from src.services.accounts import actor_of
from src.services.links import BadLink, verify
from src.wiring import adapters, services

blp = Blueprint("downloads", url_prefix="/api/v1/downloads", description="Files by signed links.")


@blp.get("/<token>", needs=PUBLIC)
@blp.response(200, BINARY, content_type="*/*")
@blp.alt_response(206, schema=BINARY, content_type="*/*", description="The part that was asked for.")
@blp.alt_response(304, description="The client has these very bytes already.")
def download(token: str) -> Response:
    """The bytes of the file that the link was signed for, until it expires."""
    link = verify(token, adapters().settings)
    with services() as s:
        file = s.file_rows.get(link.file_id)
        account = s.account_rows.get(link.account_id)
    if account.is_disabled:
        raise BadLink("The account that it was given to is disabled.")
    answer = content_of(file)
    note_download(file, answer, actor_of(account), by_link=True)
    return answer
