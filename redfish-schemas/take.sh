#!/bin/sh
# Usage: take.sh BUNDLE OUT
# Copies the CSDL files that rackfish's resources need out of a local, unpacked copy of DMTF's DSP8010 (BUNDLE holds
# csdl/*.xml) into OUT, together with our own. With the licence text, if the bundle has one beside it.
set -eu
[ $# -eq 2 ] || { sed -n '2,4p' "$0" >&2; exit 2; }
bundle=$1 out=$2
here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
[ -d "$bundle/csdl" ] || { echo "$bundle has no folder csdl; is it an unpacked DSP8010?" >&2; exit 1; }
mkdir -p "$out"
missing=0
for name in $(sed 's/[. ].*//' "$here/served.txt") Message Resource RedfishExtensions; do
    if [ -f "$bundle/csdl/${name}_v1.xml" ]; then
        cp "$bundle/csdl/${name}_v1.xml" "$out/"
    else
        echo "$bundle/csdl has no ${name}_v1.xml" >&2
        missing=1
    fi
done
for licence in "$bundle"/LICENSE*; do
    if [ -f "$licence" ]; then cp "$licence" "$out/"; fi
done
cp "$here"/oem/*.xml "$out/"
exit $missing
