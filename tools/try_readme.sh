#!/usr/bin/env bash
# Does what a new user does: a fresh clone, a fresh environment, the README's two commands, timed.
#
#     tools/try_readme.sh [python]       example: tools/try_readme.sh python3.12
set -euo pipefail

python=${1:-python3}
repository=$(git -C "$(dirname "$0")" rev-parse --show-toplevel)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

git clone --quiet "$repository" "$folder/tf_wgsef"
"$python" -m venv "$folder/environment"
source "$folder/environment/bin/activate"
cd "$folder/tf_wgsef"

echo "== python -m pip install -e ."
time python -m pip install --quiet -e .
echo "== tf-wgsef demo"
time tf-wgsef demo
ls -l tf_wgsef_demo
echo '== python -m pip install -e ".[test]" && python -m pytest -n 2 --dist worksteal'
python -m pip install --quiet -e ".[test]"
time python -m pytest -q -n 2 --dist worksteal
