#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# HCV-TEST: host
# KVER: 6.1 6.12
# hcivol-inspect on plain files in place of devices: formatting and what it
# refuses, damaged structures, and reading volumes back from made-up stores.
# shellcheck disable=SC2154 # RUN_OUT comes from ktap.sh

. "$(dirname "$0")/../lib/ktap.sh"

top=$(readlink -f "$(dirname "$0")/../..")
inspect=$top/build/bin/hcivol-inspect
image=$top/build/inspect/hcv-image
gens="1 3 4 5 6 7"

need_cmd jq mke2fs mkswap blkid python3 "$inspect" "$image"

# fresh NAME...: files of 2 GiB with a store in each.
fresh() {
	local name

	for name; do
		rm -f "$TMP/$name"
		truncate -s 2G "$TMP/$name"
		"$inspect" format "$TMP/$name" > "$TMP/out"
	done
}

# poke FILE OFFSET TEXT: overwrite bytes.
poke() {
	printf '%b' "$3" |
		dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}

# gpt FILE: a GUID partition table without partitions, and its backup.
gpt() {
	python3 - "$1" <<-'PYTHON'
		import os, struct, sys, uuid, zlib
		size = os.path.getsize(sys.argv[1]) // 512
		table = bytes(128 * 128)
		def header(at, other, entries):
		    def pack(crc):
		        return struct.pack("<8s4sIIIQQQQ16sQIII", b"EFI PART",
		            b"\0\0\1\0", 92, crc, 0, at, other, 34, size - 34,
		            GUID, entries,
		            128, 128, zlib.crc32(table))
		    return pack(zlib.crc32(pack(0)))
		GUID = uuid.uuid4().bytes
		with open(sys.argv[1], "r+b") as disk:
		    disk.seek(446)
		    disk.write(bytes([0, 0, 2, 0, 0xee, 255, 255, 255]) +
		               struct.pack("<II", 1, size - 1))
		    disk.seek(510)
		    disk.write(b"\x55\xaa")
		    for at, other, entries in ((1, size - 1, 2),
		                               (size - 1, 1, size - 33)):
		        disk.seek(at * 512)
		        disk.write(header(at, other, entries))
	PYTHON
}

# field FILE NAME: of the superblock.
field() {
	# One damaged copy makes it fail, and it prints all the same.
	"$inspect" super "$1" --json > "$TMP/super" || true
	jq -r ".$2" "$TMP/super"
}

# meta_at FILE VOLUME INDEX: address of an extent's metadata pages.
meta_at() {
	local nr

	nr=$("$inspect" table "$1" --json | jq -r --arg v "$2" --argjson i "$3" \
		'.entries[] | select(.kind == "extent" and .volume == $v and
		 .index == $i) | .nr')
	echo $(($(field "$1" meta_off) + nr * 72 * 1024))
}

# area_at FILE VOLUME: address of its volume area.
area_at() {
	local nr

	nr=$("$inspect" table "$1" --json | jq -r --arg v "$2" \
		'.entries[] | select(.kind == "area" and .volume == $v) | .nr')
	echo $(($(field "$1" vol_off) + nr * 256 * 1024))
}

test_format() {
	local uuid=5ca1ab1e-0102-4304-8506-0708090a0b0c
	local cluster=c1057e40-0102-4304-8506-0708090a0b0c

	truncate -s 1G "$TMP/a"
	run_expect 0 "$inspect" format "$TMP/a" --label 'bay "1"' \
		--uuid "$uuid" --cluster "$cluster" --json
	check_eq "store" "$uuid" "$(jq -r .store <<< "$RUN_OUT")"
	check_eq "extents" 3 "$(jq -r .nr_extents <<< "$RUN_OUT")"
	check_eq "label" 'bay "1"' "$(field "$TMP/a" label)"
	check_eq "cluster" "$cluster" "$(field "$TMP/a" cluster)"
	check_eq "handle_next" 1024 "$(field "$TMP/a" handle_next)"
	check_eq "clean" "true true" \
		"$(field "$TMP/a" clean) $(field "$TMP/a" no_lease)"
	run_expect 0 "$inspect" check "$TMP/a"
	check_match "check" "1 stores, 0 volumes: 0 problems, 0 notes" "$RUN_OUT"
	# Every store gets a UUID of its own.
	fresh b c
	check_ne "uuid" "$(field "$TMP/b" store)" "$(field "$TMP/c" store)"
}

test_format_refuses_contents() {
	local name

	truncate -s 2G "$TMP/ext4" "$TMP/gpt" "$TMP/dos" "$TMP/swap" "$TMP/two"
	mke2fs -q -F -t ext4 "$TMP/ext4"
	mkswap "$TMP/swap" > "$TMP/out" 2>&1
	gpt "$TMP/gpt"
	# One partition of type 0x83 from sector 2048.
	poke "$TMP/dos" 446 '\0\0\0\0\x83\0\0\0\0\x8\0\0\0\0\x10'
	poke "$TMP/dos" 510 '\x55\xaa'
	mke2fs -q -F -t ext2 "$TMP/two"
	poke "$TMP/two" 4086 SWAPSPACE2
	for name in ext4 gpt dos swap two; do
		run_expect 1 "$inspect" format "$TMP/$name"
		check_match "$name names the device" "$TMP/$name holds" "$RUN_OUT"
		check_match "$name names the remedy" "--force" "$RUN_OUT"
		run_expect 1 "$inspect" super "$TMP/$name"
		run_expect 0 "$inspect" format "$TMP/$name" --force
		run_expect 0 "$inspect" check "$TMP/$name"
		# Nothing is left for udev to take for the owner.
		check_eq "$name blkid" "" \
			"$(blkid -p -s TYPE -s PTTYPE -o value "$TMP/$name" ||
				true)"
	done
}

test_format_refuses_stores() {
	local before

	fresh a
	before=$(field "$TMP/a" store)
	run_expect 1 "$inspect" format "$TMP/a"
	check_match "names the store" "holds hcivol store $before" "$RUN_OUT"
	# One copy is enough to be a store, a damaged one too.
	poke "$TMP/a" 100 x
	poke "$TMP/a" $((512 * 1024)) x
	run_expect 1 "$inspect" format "$TMP/a"
	check_match "damaged" "damaged or of another version" "$RUN_OUT"
	run_expect 0 "$inspect" format "$TMP/a" --force
	check_ne "new store" "$before" "$(field "$TMP/a" store)"
}

test_format_refuses_devices() {
	truncate -s $(((1 << 30) - 1)) "$TMP/small"
	run_expect 1 "$inspect" format "$TMP/small"
	check_match "too small" "$TMP/small is too small" "$RUN_OUT"
	run_expect 1 "$inspect" format "$TMP/small" --force
	: > "$TMP/empty"
	run_expect 1 "$inspect" format "$TMP/empty"
	run_expect 1 "$inspect" format /dev/null
	check_match "no block device" "name a block device" "$RUN_OUT"
	run_expect 1 "$inspect" format "$TMP"
	run_expect 1 "$inspect" format "$TMP/missing"
	check_match "missing" "No such file" "$RUN_OUT"
	truncate -s 1G "$TMP/new"
	run_expect 1 "$inspect" format "$TMP/new" --label "$(printf '%064d' 1)"
	run_expect 1 "$inspect" format "$TMP/new" --label $'a\nb'
	# Nothing was written by any of these.
	check_eq "untouched" 0 "$(stat -c %b "$TMP/new")"
	run_expect 0 "$inspect" format "$TMP/new" --label "$(printf '%063d' 1)"
}

test_usage() {
	run_expect 0 "$inspect" --help
	run_expect 0 "$inspect" --version
	run_expect 0 "$inspect" read --help
	fresh a
	run_expect 2 "$inspect"
	run_expect 2 "$inspect" bogus "$TMP/a"
	run_expect 2 "$inspect" super
	run_expect 2 "$inspect" super "$TMP/a" "$TMP/a"
	run_expect 2 "$inspect" super "$TMP/a" --force
	run_expect 2 "$inspect" super "$TMP/a" --bogus
	run_expect 2 "$inspect" pages "$TMP/a"
	run_expect 2 "$inspect" pages "$TMP/a" --volume 12
	run_expect 2 "$inspect" read "$TMP/a"
	run_expect 2 "$inspect" read "$TMP/a" --volume \
		5ca1ab1e-0102-4304-8506-0708090a0b0c --offset 1X
	run_expect 2 "$inspect" read "$TMP/a" --volume \
		5ca1ab1e-0102-4304-8506-0708090a0b0c --length -1
	run_expect 1 "$inspect" read "$TMP/a" --volume \
		5ca1ab1e-0102-4304-8506-0708090a0b0c
	check_match "unknown volume" "no valid volume page" "$RUN_OUT"
	run_expect 1 "$inspect" read "$TMP/a" "$TMP/a" --volume \
		5ca1ab1e-0102-4304-8506-0708090a0b0c
	check_match "twice" "name one of them" "$RUN_OUT"
}

test_super_copies() {
	local want

	fresh a
	want=$(field "$TMP/a" store)
	cp --sparse=always "$TMP/a" "$TMP/b"
	poke "$TMP/b" 200 x
	run_expect 1 "$inspect" super "$TMP/b"
	check_match "copy 0" "copy 0 +damaged" "$RUN_OUT"
	check_eq "by copy 1" "$want" "$(field "$TMP/b" store)"
	run_expect 0 "$inspect" check "$TMP/b"
	check_match "a note" "1 notes" "$RUN_OUT"
	cp --sparse=always "$TMP/a" "$TMP/b"
	poke "$TMP/b" $((512 * 1024 + 4095)) x
	run_expect 1 "$inspect" super "$TMP/b"
	check_match "copy 1" "copy 1 +damaged" "$RUN_OUT"
	check_eq "by copy 0" "$want" "$(field "$TMP/b" store)"
	poke "$TMP/b" 16 x
	run_expect 1 "$inspect" super "$TMP/b"
	check_match "both" "no valid superblock" "$RUN_OUT"
	# Copy 0 in the place of copy 1.
	cp --sparse=always "$TMP/a" "$TMP/b"
	dd if="$TMP/a" of="$TMP/b" bs=4096 seek=128 count=1 conv=notrunc \
		status=none
	run_expect 1 "$inspect" super "$TMP/b"
	check_match "moved" "copy 1 +written for another place" "$RUN_OUT"
	# A device that shrank.
	truncate -s 1500M "$TMP/a"
	run_expect 1 "$inspect" super "$TMP/a"
	check_match "shrunk" "out of range" "$RUN_OUT"
}

test_table_damage() {
	local at=$((1 << 20))

	fresh a
	# Place 1 was never written: losing place 0 loses the table.
	poke "$TMP/a" $((at + 100)) x
	run_expect 1 "$inspect" check "$TMP/a"
	check_match "bad page" "table page 0: no valid place" "$RUN_OUT"
	run_expect 1 "$inspect" table "$TMP/a"
	check_match "says so" "extent table is damaged" "$RUN_OUT"
	# Blank is not empty.
	dd if=/dev/zero of="$TMP/a" bs=4096 seek=256 count=1 conv=notrunc \
		status=none
	run_expect 1 "$inspect" check "$TMP/a"
}

# read_all VOLUME FILE...: all generations read back as they must.
read_all() {
	local vol=$1 gen

	shift
	for gen in $gens; do
		"$inspect" read "$@" --volume "$vol" --generation "$gen" \
			> "$TMP/got" 2> "$TMP/err" || {
			check_eq "generation $gen" "" "$(cat "$TMP/err")"
			continue
		}
		check "generation $gen" cmp "$TMP/got" "$TMP/expect.$gen"
	done
}

test_read_made_up() {
	local seed mode vol

	for seed in $(seq 1 "$(scaled 6)"); do
		for mode in clean messy; do
			fresh a b c
			vol=$("$image" "$seed" "$mode" "$TMP" \
				"$TMP/a" "$TMP/b" "$TMP/c")
			note "seed $seed $mode"
			read_all "$vol" "$TMP/a" "$TMP/b" "$TMP/c"
			# The order of the stores does not matter.
			"$inspect" read "$TMP/c" "$TMP/a" "$TMP/b" \
				--volume "$vol" > "$TMP/got" 2> "$TMP/err"
			check "other order" cmp "$TMP/got" "$TMP/expect.7"
			[ "$mode" = messy ] && continue
			run_expect 0 "$inspect" check --data \
				"$TMP/a" "$TMP/b" "$TMP/c"
		done
	done
	fresh a
	vol=$("$image" 99 messy "$TMP" "$TMP/a")
	read_all "$vol" "$TMP/a"
}

# An old copy and a temporary replica: each block from the one that has it.
test_pair() {
	local seed vol gen index at

	for seed in $(seq 41 "$((40 + $(scaled 3)))"); do
		fresh a b
		vol=$("$image" "$seed" pair "$TMP" "$TMP/a" "$TMP/b")
		note "seed $seed"
		for gen in $gens; do
			"$inspect" read "$TMP/a" "$TMP/b" --volume "$vol" \
				--generation "$gen" --pair > "$TMP/got" \
				2> "$TMP/err"
			check "generation $gen" cmp "$TMP/got" "$TMP/expect.$gen"
		done
		run_expect 0 "$inspect" check "$TMP/a" "$TMP/b" --pair
		# Neither is anything alone, nor are they the other way round.
		run_expect 1 "$inspect" read "$TMP/b" --volume "$vol"
		check_match "alone" "held by a store that is not given" "$RUN_OUT"
		run_expect 1 "$inspect" read "$TMP/b" "$TMP/a" --volume "$vol" \
			--pair
		check_match "order" "temporary replica comes second" "$RUN_OUT"
		run_expect 1 "$inspect" check "$TMP/b" "$TMP/a" --pair
		check_match "wrong way" "does not complete" "$RUN_OUT"
	done
	# A page that was never written says nothing of what is held.
	index=$("$inspect" table "$TMP/b" --json | jq -r --arg v "$vol" \
		'[.entries[] | select(.kind == "extent" and .volume == $v) |
		  .index][0]')
	at=$(meta_at "$TMP/b" "$vol" "$index")
	dd if=/dev/zero of="$TMP/b" bs=4096 seek=$((at / 4096)) count=1 \
		conv=notrunc status=none
	dd if=/dev/zero of="$TMP/b" bs=4096 seek=$((at / 4096 + 9)) count=1 \
		conv=notrunc status=none
	run_expect 1 "$inspect" read "$TMP/a" "$TMP/b" --volume "$vol" --pair
	check_match "unwritten" "extent $index page 0 was never written" \
		"$RUN_OUT"
	run_expect 2 "$inspect" check "$TMP/a" --pair
	check_match "check of one" "goes with two stores" "$RUN_OUT"
	run_expect 2 "$inspect" read "$TMP/a" --volume "$vol" --pair
	check_match "read of one" "goes with two stores" "$RUN_OUT"
}

test_read_ranges() {
	local vol size off len

	fresh a b
	vol=$("$image" 11 messy "$TMP" "$TMP/a" "$TMP/b")
	size=$(stat -c %s "$TMP/expect.7")
	for range in "0 1" "4095 2" "1048575 2" "1M 1M" "3000001 5000003" \
		"$((size - 1)) 1" "$size 0"; do
		off=${range% *}
		len=${range#* }
		"$inspect" read "$TMP/a" "$TMP/b" --volume "$vol" \
			--offset "$off" --length "$len" 2> "$TMP/err" |
			cat > "$TMP/got"
		dd if="$TMP/expect.7" bs=64K iflag=skip_bytes,count_bytes \
			skip="$off" count="$len" of="$TMP/want" status=none
		check "range $range" cmp "$TMP/got" "$TMP/want"
	done
	run_expect 1 "$inspect" read "$TMP/a" "$TMP/b" --volume "$vol" \
		--offset "$size" --length 1
	check_match "beyond" "ends at byte $size" "$RUN_OUT"
	# Appending to a file must not leave what is there in place of holes.
	echo head > "$TMP/got"
	"$inspect" read "$TMP/a" "$TMP/b" --volume "$vol" >> "$TMP/got" \
		2> "$TMP/err"
	check "appended" cmp "$TMP/got" <(echo head; cat "$TMP/expect.7")
	# A full output device is an error.
	rc=0
	"$inspect" read "$TMP/a" "$TMP/b" --volume "$vol" > /dev/full \
		2> "$TMP/err" || rc=$?
	check_eq "full" 1 "$rc"
	run_expect 1 "$inspect" read "$TMP/a" "$TMP/b" --volume "$vol" \
		--generation 2
	check_match "no generation" "has no generation 2" "$RUN_OUT"
}

# Two equal replicas: what is lost on one is read from the other.
test_read_survives() {
	local vol index at area

	fresh a b
	vol=$("$image" 21 clean "$TMP" "$TMP/a" "$TMP/b")
	index=$("$inspect" table "$TMP/a" --json | jq -r --arg v "$vol" \
		'[.entries[] | select(.kind == "extent" and .volume == $v) |
		  .index][]' | while read -r i; do
		[ -n "$("$inspect" table "$TMP/b" --json | jq -r --arg v "$vol" \
			--argjson i "$i" '.entries[] | select(.volume == $v and
			.kind == "extent" and .index == $i) | .nr')" ] &&
			echo "$i" && break
	done)
	check_match "an extent on both" "^[0-9]+$" "$index"
	at=$(meta_at "$TMP/a" "$vol" "$index")
	poke "$TMP/a" $((at + 1000)) x
	poke "$TMP/a" $((at + 9 * 4096 + 1000)) x
	run_expect 1 "$inspect" check "$TMP/a"
	check_match "found" "extent $index page 0: no valid place" "$RUN_OUT"
	run_expect 1 "$inspect" read "$TMP/a" --volume "$vol"
	check_match "named" "extent $index page 0 is valid on none" "$RUN_OUT"
	"$inspect" read "$TMP/a" "$TMP/b" --volume "$vol" > "$TMP/got" \
		2> "$TMP/err"
	check "from the other" cmp "$TMP/got" "$TMP/expect.7"
	# A store without its volume page is left out.
	area=$(area_at "$TMP/b" "$vol")
	poke "$TMP/b" "$area" xxxx
	poke "$TMP/b" $((area + 64 * 1024)) xxxx
	run_expect 1 "$inspect" read "$TMP/b" --volume "$vol"
	check_match "no volume page" "no valid volume page" "$RUN_OUT"
	run_expect 1 "$inspect" volumes "$TMP/b"
}

test_check_finds() {
	local vol page slot at

	fresh a b
	vol=$("$image" 31 clean "$TMP" "$TMP/a" "$TMP/b")
	run_expect 0 "$inspect" check --data "$TMP/a" "$TMP/b"
	# A changed data byte: only a comparison of data can see it.
	page=$("$inspect" pages "$TMP/a" --volume "$vol" --json | jq -c \
		'[.extents[] | . as $e | .pages[] | .records // [] | .[] |
		  select(.data > 0 and (.lo | test("[13579bdf]$")) and
			 (.hi | test("[02468ace]$"))) | [$e.at, .slot]]')
	for slot in $(jq -r '.[] | "\(.[0]):\(.[1])"' <<< "$page"); do
		at=$(($(field "$TMP/a" data_off) + ${slot%:*} * (256 << 20) + \
			${slot#*:} * (1 << 20)))
		poke "$TMP/a" "$at" "$(printf '\\x%02x' $(($(od -An -tu1 -j "$at" \
			-N 1 "$TMP/a") ^ 255)))"
	done
	run_expect 0 "$inspect" check "$TMP/a" "$TMP/b"
	run_expect 1 "$inspect" check --data "$TMP/a" "$TMP/b"
	check_match "data" "the data of 1 blocks differ" "$RUN_OUT"
	# A store that is none.
	truncate -s 2G "$TMP/none"
	run_expect 1 "$inspect" check "$TMP/b" "$TMP/none" --json
	check_eq "others are checked" 1 \
		"$(sed -n '/^{/p' <<< "$RUN_OUT" | jq .stores)"
}

test_json() {
	local vol cmd

	fresh a b
	vol=$("$image" 41 messy "$TMP" "$TMP/a" "$TMP/b")
	for cmd in super table volumes "pages --volume $vol" check; do
		# shellcheck disable=SC2086 # the words of the command
		"$inspect" ${cmd%% *} "$TMP/a" ${cmd#"${cmd%% *}"} --json \
			> "$TMP/json" 2> "$TMP/err" || true
		check_eq "$cmd schema" "1 ${cmd%% *}" \
			"$(jq -r '"\(.schema) \(.command)"' "$TMP/json")"
	done
	check_eq "generations" "1 3 4 5 6 7" \
		"$({ "$inspect" volumes "$TMP/a" --json 2> "$TMP/err" || true; } |
			jq -r '[.volumes[] | select(.valid) |
				.generations[].id] | join(" ")')"
	# Bytes that are no text come out as valid JSON too.
	truncate -s 1G "$TMP/raw"
	run_expect 0 "$inspect" format "$TMP/raw" --label $'\xff"\\\xc3\xa4'
	check_eq "label" $'?"\\\xc3\xa4' "$(field "$TMP/raw" label)"
}

ktap_main "$@"
