#!/bin/sh
# The greeting, as plain text; the image's GREETING says which.
printf 'Content-Type: text/plain; charset=utf-8\r\n\r\n'
printf '%s\n' "$GREETING"
printf '%s\n' "$(hostname)"
