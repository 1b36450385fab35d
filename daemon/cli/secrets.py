"""`majlis secrets`: the keys that seal the keys and tokens of instances."""

from __future__ import annotations

import typer

from daemon.cli.client import (
    USAGE_ERROR,
    ConfigOption,
    Failure,
    JsonOption,
    SetOption,
    client_of,
    view,
)
from daemon.cli.render import cell, count, display, print_json, table
from daemon.operate.secrets import SecretsPage, SecretsRotated, ShutSecret, ShutWebhook


def show_keys(
    context: typer.Context,
    config: ConfigOption = None,
    set_: SetOption = None,
    json: JsonOption = False,
) -> None:
    """List the keys that seal the secrets of instances, and the secrets that cannot be opened.

    A key is shown by an id that says nothing about it. One that seals nothing any more may be forgotten: neither a
    secret nor a webhook that `majlis instance rollback` would give back.

    Example: majlis secrets

    Example: majlis secrets rotate
    """
    if context.invoked_subcommand is not None:
        if config or set_ or json:
            command = f"majlis secrets {context.invoked_subcommand}"
            raise Failure(f"write options after the subcommand: {command} … --config FILE", USAGE_ERROR)
        return
    document = client_of(config, set_).get("/v1/secrets")
    if json:
        print_json(document)
        return
    page = view(document, SecretsPage)
    shown = table("key", "seals", "to give back", "this daemon", right=("seals", "to give back"))
    for key in page.keys:
        here = "seals with it" if key.seals else "opens with it" if key.is_here else "does not have it"
        shown.add_row(
            cell(key.id),
            cell(count(key.secrets, "secret")),
            cell(count(key.webhooks, "webhook")),
            cell(here, "" if key.is_here else "red"),
        )
    if page.keys:
        display(shown)
    else:
        display(cell("no key, and no secret", "dim"))
    _print_shut(page.shut, page.shut_webhooks)


def rotate(config: ConfigOption = None, set_: SetOption = None, json: JsonOption = False) -> None:
    """Seal every secret, and every former webhook, with the first key of secrets.keys.

    Put the new key first and the old one second on every daemon, restart them, run this, and then take the old key
    away. It may be ended at any moment and run again; nothing is ever without a key that opens it.

    Example: majlis secrets rotate
    """
    client = client_of(config, set_)
    resealed, webhooks, shut = 0, 0, list[ShutSecret]()
    while True:
        step = view(client.post("/v1/secrets/rotate", {"skip": len(shut)}), SecretsRotated)
        resealed, shut = resealed + step.resealed, [*shut, *step.shut]
        webhooks += step.webhooks
        if not step.resealed and not step.shut and not step.webhooks:
            break
        if not json and step.left:
            display(cell(f"{count(resealed, 'secret')} sealed anew, {step.left} left", "dim"))
    if json:
        print_json(
            {
                "key": step.key,
                "resealed": resealed,
                "left": step.left,
                "shut": shut,
                "webhooks": webhooks,
                "shut_webhooks": step.shut_webhooks,
            }
        )
    else:
        former = f" and {count(webhooks, 'former webhook')}" if webhooks else ""
        display(cell(f"{count(resealed, 'secret')}{former} sealed anew with key {step.key}"))
        _print_shut(shut, step.shut_webhooks)
    if shut or step.shut_webhooks:
        number = len(shut) + len(step.shut_webhooks)
        raise Failure(f"{number} could not be opened and stay as they are")


def _print_shut(shut: list[ShutSecret], webhooks: list[ShutWebhook]) -> None:
    for secret in shut:
        why = f": {secret.why}" if secret.why else ""
        display(cell(f"{secret.instance}: {secret.key} cannot be opened{why}", "bold red"))
    for webhook in webhooks:
        words = (
            f"{webhook.instance}: its webhook of before cannot be opened, so not be given back: {webhook.why}"
        )
        display(cell(words, "bold red"))
