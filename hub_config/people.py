"""Accounts that the platform makes for itself, before the Hub runs."""

from __future__ import annotations

import logging
from pathlib import Path

from crowdsky.errors import SettingsError
from hub_config.base import hub_database_url
from hub_config.names import NAME_RULE, is_name

__all__ = ["ensure_user"]


def ensure_user(hub_folder: Path, name: str, password: str, *, database_url: str = "") -> None:
    """See to it that somebody can sign in with a password.

    Parameters
    ----------
    hub_folder : Path
        What the Hub keeps; made if it is not there.
    name, password : str
        A user of this name gets this password and is let in, whatever was before.
    database_url : str
        Of the Hub's database where that is not the file in its folder.

    Raises
    ------
    SettingsError
        If the name is none, or the Hub's database cannot be used.
    """
    import bcrypt
    from jupyterhub.dbutil import upgrade_if_needed
    from jupyterhub.orm import new_session_factory
    from nativeauthenticator.orm import UserInfo
    from sqlalchemy.exc import SQLAlchemyError

    if not is_name(name):
        raise SettingsError(f"{name!r} is no name for a user. {NAME_RULE}", value=name)
    hub_folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    url = hub_database_url(hub_folder, database_url)
    try:
        upgrade_if_needed(url, log=logging.getLogger(__name__))
        session = new_session_factory(url)()
        try:
            UserInfo.__table__.create(session.get_bind(), checkfirst=True)
            found = UserInfo.find(session, name)
            if found is None:
                found = UserInfo(username=name, password=b"")
                session.add(found)
            if not found.password or not bcrypt.checkpw(password.encode(), found.password):
                found.password = bcrypt.hashpw(password.encode(), bcrypt.gensalt())
            found.is_authorized = True
            session.commit()
        finally:
            session.close()
            session.get_bind().dispose()
    except (SQLAlchemyError, OSError) as error:
        raise SettingsError(
            f"the Hub's database cannot be used ({error})", file=hub_folder
        ) from None
