#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# nested-cost.sh: inside the nested host, after all else: how often nested-linux.sh's boots
# left the direct engine and what that cost, in KVM_RUN exits that do nothing (hemi probe).
# Fails if one of the boots did not use it at all, or if there is no such figure.

number() { # NAME [FILE]: a number of a JSON file
	sed -n "s/.*\"$1\" : \([0-9.e+-]*\),\{0,1\}\$/\1/p" ${2+"$2"} | head -n 1
}

"$HEMI" probe --json >/tmp/probe.json || exit 1
"$HEMI" probe | grep '^a bare KVM_RUN exit: '
bare=$(number bare_kvm_exit_us /tmp/probe.json)
for stats in /tmp/stats-*.json; do
	[ -f "$stats" ] || { echo "no boot was counted"; exit 1; }
	name=${stats#/tmp/stats-}
	awk -v name="${name%.json}" -v bare="$bare" -v seconds="$(number total "$stats")" \
		-v crossing="$(number crossing "$stats")" \
		-v n="$(sed -n '/"crossings"/,$p' "$stats" | number total)" 'BEGIN {
		if (!(bare > 0 && n > 0 && crossing > 0)) {
			print name ": no crossings, or none that cost anything"
			exit 1
		}
		each = crossing / n * 1e6
		printf "Linux, %s: %d crossings in %.0f s, %.1f us each: %.2f bare KVM_RUN exits\n", \
			name, n, seconds, each, each / bare
	}' || exit 1
done
