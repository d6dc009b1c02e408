// String tensors: StringNormalizer, StringConcat, StringSplit, RegexFullMatch, TfIdfVectorizer.
#include <ATen/ops/arange.h>
#include <ATen/ops/broadcast_tensors.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <fmt/core.h>
#include <wctype.h>

#include <algorithm>
#include <map>
#include <regex>
#include <set>

#include "program/op.h"
#include "program/ops/movement.h"

namespace sparsify {
namespace {

const HostTensor& strings_of(const OpCall& call, size_t input) {
  const Value& value = call.value(input);
  if (!value.is_strings()) call.fail(fmt::format("input {} is {}, not strings", input, value.describe()), "check the graph");
  return value.strings();
}

/// Case change by Unicode's simple mapping, code point by code point; bytes that are not UTF-8 stay as they are.
std::string with_case(const std::string& text, bool upper) {
  static const locale_t unicode = newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr);
  std::string result;
  for (size_t i = 0; i < text.size();) {
    const auto lead = static_cast<unsigned char>(text[i]);
    const size_t length = lead < 0x80 ? 1 : lead >> 5 == 0x6 ? 2 : lead >> 4 == 0xE ? 3 : lead >> 3 == 0x1E ? 4 : 0;
    if (length == 0 || i + length > text.size()) {
      result += text[i++];
      continue;
    }
    wint_t point = length == 1 ? lead : lead & (0x7FU >> length);
    for (size_t k = 1; k < length; ++k) point = point << 6 | (static_cast<unsigned char>(text[i + k]) & 0x3FU);
    i += length;
    if (unicode != nullptr) point = upper ? towupper_l(point, unicode) : towlower_l(point, unicode);
    if (point < 0x80) {
      result += static_cast<char>(point);
      continue;
    }
    const int tail = point < 0x800 ? 1 : point < 0x10000 ? 2 : 3;
    result += static_cast<char>((0xFF00U >> (tail + 1) & 0xFFU) | point >> (6 * tail));
    for (int k = tail - 1; k >= 0; --k) result += static_cast<char>(0x80U | (point >> (6 * k) & 0x3FU));
  }
  return result;
}

void normalize(OpCall& call) {
  const HostTensor& input = strings_of(call, 0);
  const bool exact = call.attribute("is_case_sensitive", 0) != 0;
  const std::string action = call.attribute_text("case_change_action", "NONE");
  const auto key = [exact](const std::string& text) { return exact ? text : with_case(text, false); };
  std::set<std::string> stopwords;
  for (const std::string& word : call.attribute_texts("stopwords")) stopwords.insert(key(word));
  std::vector<std::string> kept;
  for (const std::string& text : input.strings()) {
    if (stopwords.contains(key(text))) continue;
    kept.push_back(action == "NONE" ? text : with_case(text, action == "UPPER"));
  }
  if (kept.empty()) kept.emplace_back();
  Shape shape(input.shape().size(), 1);
  if (!shape.empty()) shape.back() = static_cast<int64_t>(kept.size());
  call.set(0, Value::of_strings(HostTensor::of_strings(shape, std::move(kept))));
}

void concat(OpCall& call) {
  const HostTensor& left = strings_of(call, 0);
  const HostTensor& right = strings_of(call, 1);
  const auto places = [](const HostTensor& strings) { return at::arange(strings.count(), at::kLong).view(strings.shape()); };
  const std::vector<at::Tensor> pair = at::broadcast_tensors({places(left), places(right)});
  const at::Tensor first = pair[0].contiguous();
  const at::Tensor second = pair[1].contiguous();
  std::vector<std::string> joined;
  for (int64_t i = 0; i < first.numel(); ++i) {
    joined.push_back(left.strings()[static_cast<size_t>(first.const_data_ptr<int64_t>()[i])] +
                     right.strings()[static_cast<size_t>(second.const_data_ptr<int64_t>()[i])]);
  }
  call.set(0, Value::of_strings(HostTensor::of_strings(first.sizes().vec(), std::move(joined))));
}

/// Like Python's str.split: without a delimiter, runs of white space separate and never make empty parts.
std::vector<std::string> parts_of(const std::string& text, const std::string& delimiter, int64_t most_splits) {
  constexpr const char* kSpace = " \t\n\r\f\v";
  std::vector<std::string> parts;
  size_t at = delimiter.empty() ? text.find_first_not_of(kSpace) : 0;
  while (at != std::string::npos) {
    const size_t end = static_cast<int64_t>(parts.size()) == most_splits ? std::string::npos
                       : delimiter.empty()                                ? text.find_first_of(kSpace, at)
                                                                          : text.find(delimiter, at);
    parts.push_back(text.substr(at, end == std::string::npos ? end : end - at));
    if (end == std::string::npos) break;
    at = delimiter.empty() ? text.find_first_not_of(kSpace, end) : end + delimiter.size();
  }
  return parts;
}

void split(OpCall& call) {
  const HostTensor& input = strings_of(call, 0);
  const std::string delimiter = call.attribute_text("delimiter", "");
  const int64_t most_splits = call.attribute("maxsplit", -1);
  std::vector<std::vector<std::string>> all;
  std::vector<int64_t> counts;
  size_t widest = 0;
  for (const std::string& text : input.strings()) {
    all.push_back(parts_of(text, delimiter, most_splits));
    counts.push_back(static_cast<int64_t>(all.back().size()));
    widest = std::max(widest, all.back().size());
  }
  std::vector<std::string> padded;
  for (std::vector<std::string>& parts : all) {
    parts.resize(widest);
    std::move(parts.begin(), parts.end(), std::back_inserter(padded));
  }
  Shape shape = input.shape();
  call.set(1, integer_tensor(counts).view(shape));
  shape.push_back(static_cast<int64_t>(widest));
  call.set(0, Value::of_strings(HostTensor::of_strings(shape, std::move(padded))));
}

void full_match(OpCall& call) {
  const HostTensor& input = strings_of(call, 0);
  const std::string pattern = call.attribute_text("pattern", "");
  const at::Tensor matches = at::empty(input.shape(), at::TensorOptions(at::kBool));
  try {
    const std::regex expression(pattern);
    bool* out = matches.data_ptr<bool>();
    for (const std::string& text : input.strings()) *out++ = std::regex_match(text, expression);
  } catch (const std::regex_error& e) {
    call.fail(fmt::format("the pattern \"{}\" cannot be used: {}", pattern, e.what()), "use ECMAScript's syntax");
  }
  call.set(0, matches);
}

/// N-grams over numbers: strings of the pool are numbered first.
struct Grams {
  std::map<std::vector<int64_t>, size_t> ids;  ///< n-gram -> its place in the pool
  std::map<std::string, int64_t> words;
  size_t count = 0;
  int64_t shortest = 1;
  int64_t longest = 1;
};

Grams read_grams(const OpCall& call) {
  Grams grams;
  grams.shortest = call.attribute("min_gram_length", 1);
  grams.longest = call.attribute("max_gram_length", 1);
  std::vector<int64_t> pool = call.attribute_integers("pool_int64s");
  for (const std::string& word : call.attribute_texts("pool_strings")) {
    pool.push_back(grams.words.try_emplace(word, static_cast<int64_t>(grams.words.size())).first->second);
  }
  std::vector<int64_t> starts = call.attribute_integers("ngram_counts");
  starts.push_back(static_cast<int64_t>(pool.size()));
  for (size_t length = 1; length < starts.size(); ++length) {
    const auto size = static_cast<int64_t>(length);
    if (starts[length - 1] < 0 || starts[length] > static_cast<int64_t>(pool.size())) {
      call.fail("ngram_counts points outside the pool", "export the model again");
    }
    for (int64_t at = starts[length - 1]; at + size <= starts[length]; at += size) {
      grams.ids[{pool.begin() + at, pool.begin() + at + size}] = grams.count++;
    }
  }
  return grams;
}

void count_grams(const Grams& grams, const std::vector<int64_t>& row, int64_t most_skips,
                 const std::vector<int64_t>& columns, float* counts) {
  const auto size = static_cast<int64_t>(row.size());
  for (int64_t stride = 1; stride <= most_skips + 1; ++stride) {
    for (int64_t length = grams.shortest; length <= grams.longest; ++length) {
      if (length == 1 && stride > 1) continue;  // a single word knows no skips
      for (int64_t first = 0; first + stride * (length - 1) < size; ++first) {
        std::vector<int64_t> gram;
        for (int64_t i = 0; i < length; ++i) gram.push_back(row[static_cast<size_t>(first + stride * i)]);
        const auto found = grams.ids.find(gram);
        if (found != grams.ids.end()) counts[columns[found->second]] += 1;
      }
    }
  }
}

void tf_idf(OpCall& call) {
  const Grams grams = read_grams(call);
  const std::vector<int64_t> columns = call.attribute_integers("ngram_indexes");
  const int64_t width = columns.empty() ? 0 : *std::max_element(columns.begin(), columns.end()) + 1;
  const std::vector<float> weights = call.attribute_numbers("weights");
  if (columns.size() < grams.count || (!weights.empty() && static_cast<int64_t>(weights.size()) < width)) {
    call.fail(fmt::format("{} n-grams, {} ngram_indexes and {} weights", grams.count, columns.size(), weights.size()),
              "export the model again");
  }
  std::vector<int64_t> items;
  if (call.value(0).is_strings()) {
    for (const std::string& word : strings_of(call, 0).strings()) {
      const auto found = grams.words.find(word);
      items.push_back(found == grams.words.end() ? -1 : found->second);
    }
  } else {
    items = call.integers(0);
  }
  const Shape shape = shape_of(call, 0);
  const int64_t rows = shape.size() < 2 ? 1 : shape[0];
  const int64_t row_size = shape.empty() ? 1 : shape.back();
  const at::Tensor result = at::zeros({rows, width}, at::TensorOptions(at::kFloat));
  const std::string mode = call.attribute_text("mode", "TF");
  for (int64_t row = 0; row < rows; ++row) {
    float* counts = result.data_ptr<float>() + row * width;
    count_grams(grams, {items.begin() + row * row_size, items.begin() + (row + 1) * row_size},
                call.attribute("max_skip_count", 0), columns, counts);
    for (int64_t i = 0; mode != "TF" && i < width; ++i) {
      if (mode == "IDF") counts[i] = std::min(counts[i], 1.0F);
      if (!weights.empty()) counts[i] *= weights[static_cast<size_t>(i)];
    }
  }
  call.set(0, shape.size() < 2 ? result.view({width}) : result);
}

const RegisterOps entries{
    {.name = "StringNormalizer", .function = normalize, .gradient = Gradient::No, .shape_inputs = kAllInputs},
    {.name = "StringConcat", .function = concat, .gradient = Gradient::No},
    {.name = "StringSplit", .function = split, .gradient = Gradient::No, .shape_inputs = kAllInputs},
    {.name = "RegexFullMatch", .function = full_match, .gradient = Gradient::No,
     .notes = "ECMAScript's syntax instead of RE2's: no (?i), \\A, \\z, \\p{..}"},
    {.name = "TfIdfVectorizer", .function = tf_idf, .gradient = Gradient::No},
};

}  // namespace
}  // namespace sparsify
