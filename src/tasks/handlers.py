"""Which handler does which kind of job."""

from src.services import housekeeping, profiles
from src.tasks.housekeeping import keep_house
from src.tasks.profiles import profile_file
from src.tasks.running import Handler

HANDLERS: dict[str, Handler] = {
    profiles.KIND: profile_file,
    housekeeping.KIND: keep_house,
}
