#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# shell.sh N: what busybox does in scripts, N times: arithmetic, string operations,
# functions, here documents, and pipelines of small programs. Prints what it found.

words="alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi"

fib() {
	a=0 b=1 i=0
	while [ $i -lt "$1" ]; do
		t=$((a + b)) a=$b b=$t i=$((i + 1))
	done
	echo "$a"
}

reverse() {
	rest=$1 out=
	while [ -n "$rest" ]; do
		tail=${rest#?}
		out=${rest%"$tail"}$out
		rest=$tail
	done
	echo "$out"
}

pass=0
while [ $pass -lt "${1:-1}" ]; do
	pass=$((pass + 1))
	n=0 odd=0
	while [ $n -lt 3000 ]; do
		n=$((n + 1))
		case $n in
		*[13579]) odd=$((odd + n % 7)) ;;
		esac
	done
	echo "pass $pass odd $odd fib $(fib 40)"
	for w in $words; do
		echo "$(reverse "$w") ${#w}"
	done | sort | sed 's/\([a-z]*\) \([0-9]*\)/\2:\1/' | grep -c ':[a-m]'
	seq 1 2000 | sed 's/1/one/g; s/^\(.\)\(.*\)$/\2\1/' | grep one | wc
	seq 1 500 | awk '{ t[$1 % 10] += $1 * $1 } END { for (i = 0; i < 10; i++) printf "%d ", t[i]; print "" }'
	while read -r name value; do
		[ "${value%x}" = "$value" ] || echo "$name=${value%x}"
	done <<-LIST
		one 11x
		two 22
		three 33x
	LIST
	for i in 1 2 3 4 5 6 7 8; do
		printf '%s %d\n' "$words" $i | tr a-z A-Z | cut -c $i-40 | md5sum
	done | tail -n 1
done
