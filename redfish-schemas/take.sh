#!/bin/sh
# Usage: take.sh BUNDLE OUT
# Copies the CSDL files that rackfish's resources need out of a local, unpacked copy of DMTF's DSP8010 (BUNDLE holds
# csdl/*.xml) into OUT, together with our own. With the licence text, if the bundle has one beside it.
#
# Needed are the types that are served (served.txt), and those that their properties are made of. What is only linked
# to is not: a link leads to a type that is served, or to nothing.
set -eu
[ $# -eq 2 ] || { sed -n '2,7p' "$0" >&2; exit 2; }
bundle=$1 out=$2
here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
[ -d "$bundle/csdl" ] || { echo "$bundle has no folder csdl; is it an unpacked DSP8010?" >&2; exit 1; }
mkdir -p "$out"
missing=0

# Names of the types that the properties and bases of the files on the command line have, each once.
made_of() {
    sed -nE '/<(Property|Parameter|EntityType|ComplexType|TypeDefinition) /s/.* (Base|Underlying)?Type="(Collection\()?([A-Za-z]+)\.[^"]*".*/\3/p' "$@" |
        grep -vx Edm | sort -u
}

wanted="$(sed 's/[. ].*//' "$here/served.txt") Message Resource RedfishExtensions $(made_of "$here"/oem/*.xml)"
taken=" "
while [ -n "$wanted" ]; do
    next=
    for name in $wanted; do
        case $taken in *" $name "*) continue ;; esac
        taken="$taken$name "
        if [ -f "$here/oem/${name}_v1.xml" ]; then
            continue
        elif [ -f "$bundle/csdl/${name}_v1.xml" ]; then
            cp "$bundle/csdl/${name}_v1.xml" "$out/"
            next="$next $(made_of "$out/${name}_v1.xml")"
        else
            echo "$bundle/csdl has no ${name}_v1.xml" >&2
            # Storage of Swordfish (SNIA) and vocabularies of OData are published elsewhere; nothing served has them.
            ! grep -q "^$name\\b" "$here/served.txt" || missing=1
        fi
    done
    wanted=$(printf '%s\n' $next | sort -u)
done
for licence in "$bundle"/LICENSE*; do
    if [ -f "$licence" ]; then cp "$licence" "$out/"; fi
done
cp "$here"/oem/*.xml "$out/"
exit $missing
