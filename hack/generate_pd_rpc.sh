#!/bin/sh
# Compiles tests/helpers/pd_rpc.proto; to be run after it was changed.
#
# protoc comes as a Python package into a folder that is thrown away: nothing else needs it.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
tools=$(mktemp -d)
trap 'rm -rf "$tools"' EXIT

python3 -m venv "$tools"
"$tools/bin/pip" install --quiet --disable-pip-version-check grpcio-tools==1.85.1
cd "$here/../tests/helpers"
"$tools/bin/python" -m grpc_tools.protoc --proto_path=. --python_out=. --pyi_out=. pd_rpc.proto
