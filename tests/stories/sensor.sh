#!/usr/bin/env bash
# A sensor engineer: a CSV becomes a model with labels and probabilities for new rows. The commands are those of docs/sensors.md.
source "$(dirname "${BASH_SOURCE[0]}")/follow.sh"

# A pump that idles, pumps or runs dry: two noisy readings a step, and what it did.
pump() {
  awk -v seed="$1" -v runs="$2" 'BEGIN {
    srand(seed)
    print "run,time,current,vibration,state"
    for (r = 0; r < runs; r++) {
      state = "idle"; left = 0
      for (t = 0; t < 60; t++) {
        if (left == 0) {
          state = state != "idle" ? "idle" : rand() < 0.5 ? "pumping" : "dry"
          left = 5 + int(20 * rand())
        }
        left--
        current = state == "idle" ? 0.2 : state == "pumping" ? 4.1 : 1.9
        vibration = state == "idle" ? 0.1 : state == "pumping" ? 1.0 : 2.2
        printf "r%02d,%.1f,%.3f,%.3f,%s\n", r, t / 2, current + 3 * (rand() - 0.5), vibration + 2.5 * (rand() - 0.5), state
      }
    }
  }'
}
pump 7 40 >pump.csv
pump 8 2 >known.csv
cut -d, -f1-4 known.csv >new.csv

follow sensor docs/sensors.md

has runs/pump/report.html
has answers.csv
# A line for each row, and most of them right.
rows=$(wc -l <known.csv)
[ "$(wc -l <answers.csv)" -eq "$rows" ] || fail "$(wc -l <answers.csv) lines for $rows"
[ "$(head -1 answers.csv)" = "run,step,label,p_dry,p_idle,p_pumping" ] || fail "columns: $(head -1 answers.csv)"
right=$(paste -d, <(cut -d, -f5 known.csv) <(cut -d, -f3 answers.csv) | awk -F, 'NR > 1 && $1 == $2' | wc -l)
[ "$right" -ge $((rows * 9 / 10)) ] || fail "$right of $((rows - 1)) rows are right"
