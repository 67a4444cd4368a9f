'use strict';

// How many letters of a word may be wrong: a third, and one in any case.
const PART = 3;

/** The known word that a mistyped one may stand for; undefined if there is none. */
function closest(word, known) {
  const limit = Math.max(1, Math.floor(word.length / PART));
  const [best] = known
    .map((it) => ({
      it,
      distance: it.startsWith(word) && word.length > 1 ? 1 : distance(word, it),
    }))
    .filter((it) => it.distance <= limit)
    .sort((a, b) => a.distance - b.distance);
  return best?.it;
}

/** `Did you mean …?`, if there is anything to mean. */
function didYouMean(word, known) {
  const found = closest(word, known);
  return found === undefined ? undefined : `Did you mean ${found}?`;
}

/** How many letters have to be inserted, removed, replaced, or swapped with the next one. */
function distance(one, other) {
  const rows = [Array.from({ length: other.length + 1 }, (_, column) => column)];
  for (let row = 1; row <= one.length; row += 1) {
    rows[row] = [row];
    for (let column = 1; column <= other.length; column += 1) {
      const same = one[row - 1] === other[column - 1];
      let least = Math.min(
        rows[row - 1][column] + 1,
        rows[row][column - 1] + 1,
        rows[row - 1][column - 1] + (same ? 0 : 1),
      );
      const isSwapped = one[row - 1] === other[column - 2] && one[row - 2] === other[column - 1];
      if (row > 1 && column > 1 && isSwapped)
        least = Math.min(least, rows[row - 2][column - 2] + 1);
      rows[row][column] = least;
    }
  }
  return rows[one.length][other.length];
}

module.exports = { closest, didYouMean };
