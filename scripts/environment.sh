# SPDX-FileCopyrightText: 2026 monother_ros authors
# SPDX-License-Identifier: Apache-2.0
# Sourced by demo.sh and test.sh: makes .venv in the checkout with what the given extras need.
# Where a ROS distribution is sourced its own rclpy is used; elsewhere rclpy comes as wheels.

die() {
    printf '%s: %s\n' "$(basename "$0")" "$*" >&2
    exit 1
}

# make_environment EXTRA... : idempotent; a second call with the same needs installs nothing
make_environment() {
    local extras python stamp needs
    extras=$(IFS=,; printf '%s' "$*")
    python=${PYTHON:-python3}
    command -v "$python" >/dev/null || die "no python3 found; install Python 3.10 to 3.13"
    "$python" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' ||
        die "$("$python" --version) is not supported; set PYTHON to a Python 3.10 to 3.13"

    if "$python" -c 'import rclpy' 2>/dev/null; then
        printf 'using the rclpy of ROS distribution %s\n' "${ROS_DISTRO:-(unnamed)}"
    else
        case "$(uname -sm)" in
            'Linux x86_64') extras="ros,$extras" ;;
            *) die "there are no rclpy wheels for $(uname -sm); source a ROS 2 distribution first" ;;
        esac
    fi

    if [ ! -x .venv/bin/python ]; then
        printf 'making .venv with %s\n' "$("$python" --version)"
        "$python" -m venv .venv || die "python3 -m venv failed; install the python3-venv package"
    fi
    needs=$(printf '%s ' "$extras" "$("$python" --version)" "$PWD"; cat setup.py)
    stamp=.venv/.monother-$(printf '%s' "$needs" | cksum | cut -d' ' -f1)
    if [ ! -e "$stamp" ]; then
        printf 'installing monother_ros[%s] into .venv (once; some minutes)\n' "$extras"
        set -- -e ".[$extras]"
        # a pinned torch, so that tests see the same numbers everywhere
        case ",$extras," in *,train,*) set -- "$@" 'torch==2.13.0' ;; esac
        .venv/bin/python -m pip install --quiet --disable-pip-version-check "$@" ||
            die "pip could not install what is needed; see its message above"
        touch "$stamp"
    fi
    PATH="$PWD/.venv/bin:$PATH"
    VIRTUAL_ENV="$PWD/.venv"
    # nothing of a run here may reach, or be reached by, another robot on the network
    export ROS_AUTOMATIC_DISCOVERY_RANGE=${ROS_AUTOMATIC_DISCOVERY_RANGE:-LOCALHOST}
    export PATH VIRTUAL_ENV
}
