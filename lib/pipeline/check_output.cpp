#include "pipeline/check_output.h"

#include <fmt/core.h>

#include <cstring>
#include <map>

#include "onnx/checker.h"
#include "patterns/pattern.h"
#include "pipeline/figures.h"

namespace sparsify {
namespace {

VerificationResult verdict(std::string check, const std::string& difference, std::string detail) {
  return {.check = std::move(check), .passed = difference.empty(), .detail = difference.empty() ? std::move(detail) : difference};
}

/// The first element that breaks `after == (mask ? before : +0)`, or -1. Works on 4,096 elements at a time, so that nothing
/// of the size of a tensor is allocated.
int64_t first_difference(std::span<const std::byte> before, std::span<const std::byte> after, const BitMask& mask, int width) {
  std::vector<std::byte> expected(4096 * static_cast<size_t>(width));
  for (size_t start = 0; start < before.size(); start += expected.size()) {
    const size_t size = std::min(expected.size(), before.size() - start);
    std::memcpy(expected.data(), before.data() + start, size);
    const auto first = static_cast<int64_t>(start) / width;
    apply_mask_(mask, first, {expected.data(), size}, width);
    if (std::memcmp(expected.data(), after.data() + start, size) == 0) continue;
    for (size_t i = 0; i < size; ++i) {
      if (expected[i] != after[start + i]) return first + static_cast<int64_t>(i) / width;
    }
  }
  return -1;
}

/// Lets the pages of an output tensor go when its comparison is over: input and output need not both be in memory.
struct Release {
  const ModelFile& output;
  int id;

  ~Release() { output.release_tensor_data(id); }
};

/// Counts the zeros of the pruned tensors on the way.
std::string weights_difference(const ModelFile& input, const ModelFile& output, const std::map<int, const Decision*>& decided,
                               const std::map<int, HostTensor>& changed, std::map<int, int64_t>& zeros) {
  if (input.tensor_count() != output.tensor_count()) {
    return fmt::format("{} tensors instead of {}", output.tensor_count(), input.tensor_count());
  }
  for (int id = 0; id < input.tensor_count(); ++id) {
    const StoredTensor& before = input.tensor(id);
    const StoredTensor& after = output.tensor(id);
    if (before.name != after.name || before.type != after.type || before.shape != after.shape) {
      return fmt::format("tensor {} is \"{}\" {}{} instead of \"{}\" {}{}", id, after.name, name_of(after.type), to_text(after.shape),
                         before.name, name_of(before.type), to_text(before.shape));
    }
    if (before.type == DType::String) continue;  // part of the graph comparison
    const Release release{output, id};
    const auto given = changed.find(id);
    const HostTensor old_data = given == changed.end() ? input.tensor_data(id) : given->second;
    const HostTensor new_data = output.tensor_data(id);
    const auto found = decided.find(id);
    if (found == decided.end()) {
      if (old_data.bytes().size() != new_data.bytes().size() ||
          std::memcmp(old_data.bytes().data(), new_data.bytes().data(), old_data.bytes().size()) != 0) {
        return fmt::format("tensor \"{}\" was not to be pruned, but its bytes are not those it was given", before.name);
      }
      continue;
    }
    zeros[id] = count_zeros(new_data);
    const int64_t at = first_difference(old_data.bytes(), new_data.bytes(), found->second->mask, bits_of(before.type) / 8);
    if (at >= 0) {
      return fmt::format("tensor \"{}\", element {}: {}", before.name, at,
                         found->second->mask[at] ? "a kept weight changed" : "a pruned weight is not +0.0");
    }
  }
  return "";
}

std::string pattern_difference(const Decisions& decisions) {
  for (const Decision& decision : decisions.decided) {
    const auto pattern = make_pattern(decision.pattern_setting, "pattern");
    const std::string broken = pattern->violation(decision.tensor, decision.mask);
    if (!broken.empty()) return fmt::format("tensor \"{}\": {}", decision.tensor.initializer, broken);
  }
  return "";
}

/// Everything but tensor payloads, as protobuf: names, attributes, metadata, signatures.
std::string graph_difference(const ModelFile& input, const ModelFile& output) {
  return input.skeleton("weights", 0) == output.skeleton("weights", 0) ? "" : "something other than weights changed";
}

}  // namespace

OutputCheck check_output(const ModelFile& input, const ModelFile& output, const Decisions& decisions,
                         const std::map<int, HostTensor>& changed) {
  std::map<int, const Decision*> decided;
  int64_t pruned = 0;
  for (const Decision& decision : decisions.decided) {
    decided.emplace(decision.tensor.id, &decision);
    pruned += decision.mask.pruned();
  }
  OutputCheck check;
  std::vector<VerificationResult>& results = check.results;
  results.push_back({.check = "reload", .passed = true, .detail = "the written file loads again"});
  results.push_back(verdict("graph_unchanged", graph_difference(input, output), "nodes, names, metadata and signatures are those of the input"));
  results.push_back(verdict("weights_exact", weights_difference(input, output, decided, changed, check.zeros),
                            fmt::format("{} weights are +0.0, all others have {}", pruned,
                                        changed.empty() ? "the input's bytes" : "the bytes that the stages gave them, or the input's")));
  results.push_back(verdict("pattern", pattern_difference(decisions), fmt::format("{} masks obey their pattern", decided.size())));
  const std::string before = full_check(input);
  const std::string after = full_check(output);
  results.push_back({.check = "onnx_checker",
                     .passed = after.empty() || !before.empty(),
                     .detail = after.empty() ? "full check passes" : before.empty() ? after : "the input does not pass either: " + before});
  return check;
}

}  // namespace sparsify
