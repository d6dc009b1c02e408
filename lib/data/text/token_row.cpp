#include "data/text/token_row.h"

#include "base/error.h"

namespace sparsify {

int64_t count_marks(const Tokenizer::Marks& marks, bool is_pair) {
  return (marks.start >= 0 ? 1 : 0) + (marks.end >= 0 ? (is_pair ? 2 : 1) : 0);
}

TokenRow make_row(std::vector<int64_t> first, std::optional<std::vector<int64_t>> second, const Tokenizer::Marks& marks,
                  int64_t length) {
  const int64_t room = length - count_marks(marks, second.has_value());
  invariant(room >= 0, "a row has room for its marks");
  size_t kept_first = first.size();
  size_t kept_second = second ? second->size() : 0;
  while (static_cast<int64_t>(kept_first + kept_second) > room) --(kept_first > kept_second ? kept_first : kept_second);

  TokenRow row;
  row.ids.reserve(static_cast<size_t>(length));
  row.types.reserve(static_cast<size_t>(length));
  if (marks.start >= 0) row.ids.push_back(marks.start);
  row.ids.insert(row.ids.end(), first.begin(), first.begin() + static_cast<int64_t>(kept_first));
  if (marks.end >= 0) row.ids.push_back(marks.end);
  row.types.resize(row.ids.size(), 0);
  if (second) {
    row.ids.insert(row.ids.end(), second->begin(), second->begin() + static_cast<int64_t>(kept_second));
    if (marks.end >= 0) row.ids.push_back(marks.end);
    row.types.resize(row.ids.size(), 1);
  }
  row.mask.resize(row.ids.size(), 1);
  row.ids.resize(static_cast<size_t>(length), marks.padding);
  row.types.resize(static_cast<size_t>(length), 0);
  row.mask.resize(static_cast<size_t>(length), 0);
  return row;
}

}  // namespace sparsify
