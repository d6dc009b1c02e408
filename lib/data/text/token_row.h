#pragma once

#include <optional>

#include "data/text/tokenizer.h"

namespace sparsify {

/// What a text network is fed for one record; all of the same length.
struct TokenRow {
  std::vector<int64_t> ids;
  std::vector<int64_t> mask;   ///< 1 for ids, 0 for padding
  std::vector<int64_t> types;  ///< 1 for the second text and the mark behind it, else 0
};

/// Marks around one text or two: `[CLS] a [SEP]`, `[CLS] a [SEP] b [SEP]`.
int64_t count_marks(const Tokenizer::Marks& marks, bool is_pair);

/// The texts between their marks, cut and filled up to `length`. Ids are cut at the end, of two texts one after the other
/// from the longer one, of equally long ones from the second, as BERT's run_classifier.py does.
///
///   length  at least count_marks()
TokenRow make_row(std::vector<int64_t> first, std::optional<std::vector<int64_t>> second, const Tokenizer::Marks& marks, int64_t length);

}  // namespace sparsify
