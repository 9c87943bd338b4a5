#!/bin/sh
# The coordinator has checked which refs this push may update, and says so in SPRINT_REFS; nothing else
# is pushed to. Main moves by the merge queue only.
case " ${SPRINT_REFS:-} " in
*" $1 "*) ;;
*)
	echo "refused: $1 is not an attempt's ref of yours; the merge queue alone moves branches" >&2
	exit 1
	;;
esac
case "$3" in
*[!0]*) exit 0 ;;
esac
echo "refused: $1 keeps an attempt's work and is not deleted by a push" >&2
exit 1
