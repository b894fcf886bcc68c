#!/bin/sh
# The sample job: what a pottery's log of firings says about its kilns.
set -e
cd /in
echo "$(tail -n +2 firings.csv | wc -l) firings, $(sha256sum < firings.csv | cut -c1-16)"
echo
tail -n +2 firings.csv | sort -t, -k2,2 | awk -F, '
    { runs[$2]++; minutes[$2] += $4; pieces[$2] += $5; cracked[$2] += $6 }
    END { for (kiln in runs)
        printf "%-6s %4d firings %6.1f h each %5d pieces %4.1f %% cracked\n",
            kiln, runs[kiln], minutes[kiln] / runs[kiln] / 60, pieces[kiln], 100 * cracked[kiln] / pieces[kiln] }' | sort
echo
echo "worst days:"
tail -n +2 firings.csv | sort -t, -k6,6rn -k1,1 | head -3 | cut -d, -f1,2,6 | tr , ' '
