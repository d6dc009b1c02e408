#include "mask/normalised.h"

#include <algorithm>
#include <optional>
#include <set>
#include <unordered_map>

#include "mask/weight_use.h"

namespace sparsify {
namespace {

/// What a value is to a normalisation.
enum class Part { Constant, Number, Channels, Statistic, Factor, Normalised, Scaled };

bool is_one_of(const Node& node, std::initializer_list<const char*> names) {
  return node.domain.empty() && std::any_of(names.begin(), names.end(), [&](const char* name) { return node.op_type == name; });
}

class Follower {
 public:
  Follower(const ModelFile& file, const FlatGraph& graph) : file_(file) {
    for (const FlatTensor& tensor : graph.tensors) {
      ids_[tensor.value] = tensor.tensor.id;
      const Shape& shape = tensor.tensor.shape;
      parts_[tensor.value] = element_count(shape) == 1 ? Part::Number : is_one_a_channel(shape) ? Part::Channels : Part::Constant;
    }
    for (const FlatNode& node : graph.nodes) {
      const std::optional<Part> part = of(node);
      if (part && !node.outputs.empty()) parts_[node.outputs.front()] = *part;
    }
  }

  std::map<std::string, AfterNorm> found() const {
    std::map<std::string, AfterNorm> values;
    for (const auto& [value, part] : parts_) {
      if (part == Part::Normalised || part == Part::Factor) values.emplace(value, AfterNorm::Normalised);
      if (part == Part::Scaled) values.emplace(value, AfterNorm::Scaled);
    }
    return values;
  }

 private:
  std::optional<Part> at(const FlatNode& node, size_t position) const {
    if (position >= node.inputs.size()) return std::nullopt;
    const auto found = parts_.find(node.inputs[position]);
    return found == parts_.end() ? std::nullopt : std::optional(found->second);
  }

  static bool is_constant(std::optional<Part> part) { return part == Part::Constant || part == Part::Number || part == Part::Channels; }

  /// nullopt: a value like any other.
  std::optional<Part> of(const FlatNode& flat) const {
    const Node& node = *flat.node;
    const std::optional<Part> first = at(flat, 0);
    const std::optional<Part> second = at(flat, 1);
    const bool all_constant = !flat.inputs.empty() && std::all_of(flat.inputs.begin(), flat.inputs.end(), [&](const std::string& input) {
      const auto found = parts_.find(input);
      return input.empty() || (found != parts_.end() && is_constant(found->second));
    });
    if (all_constant) return first == Part::Number && flat.inputs.size() == 1 ? Part::Number : Part::Constant;
    if (is_one_of(node, {"ReduceMean", "ReduceL2", "ReduceSumSquare"})) return Part::Statistic;
    if (is_one_of(node, {"InstanceNormalization", "LpNormalization", "MeanVarianceNormalization"})) return Part::Normalised;
    if (is_one_of(node, {"Cast", "Identity"}) || (only_moves(node) && node.op_type != "Gather")) return first;
    if (first == Part::Statistic && is_one_of(node, {"Sqrt", "Clip", "Max", "Min", "Expand"})) return first;
    if (first == Part::Statistic && is_one_of(node, {"Reciprocal"})) return Part::Factor;
    if (first == Part::Factor && is_one_of(node, {"Sqrt"})) return first;  // sqrt(1 / v)
    if (first == Part::Statistic && is_one_of(node, {"Pow"}) && second == Part::Number) return power(flat.inputs[1]);
    if (flat.inputs.size() != 2) return std::nullopt;
    if (is_one_of(node, {"Add", "Sub"})) return sum(first, second);
    if (is_one_of(node, {"Mul"})) return product(first, second);
    if (is_one_of(node, {"Div"})) return quotient(first, second);
    return std::nullopt;
  }

  /// mean^0.5 is a statistic, mean^-0.5 a factor.
  std::optional<Part> power(const std::string& exponent) const {
    const auto id = ids_.find(exponent);
    if (id == ids_.end() || !is_prunable_float(file_.tensor(id->second).type)) return std::nullopt;
    const float value = file_.tensor_data(id->second).to_floats().front();
    return value == 0.5F ? std::optional(Part::Statistic) : value == -0.5F ? std::optional(Part::Factor) : std::nullopt;
  }

  static std::optional<Part> sum(std::optional<Part> a, std::optional<Part> b) {
    const bool epsilon = (a == Part::Statistic && is_constant(b)) || (b == Part::Statistic && is_constant(a));
    return epsilon ? std::optional(Part::Statistic) : std::nullopt;
  }

  static std::optional<Part> product(std::optional<Part> a, std::optional<Part> b) {
    if (is_constant(a)) std::swap(a, b);
    if (is_constant(b)) {
      if (a == Part::Normalised) return b == Part::Number ? a : b == Part::Channels ? std::optional(Part::Scaled) : std::nullopt;
      return a == Part::Scaled && b != Part::Number ? std::nullopt : a;  // a statistic or a factor times a number is one still
    }
    const bool scales = (a == Part::Factor) != (b == Part::Factor);
    return scales ? std::optional(Part::Normalised) : std::nullopt;
  }

  static std::optional<Part> quotient(std::optional<Part> a, std::optional<Part> b) {
    if (b == Part::Statistic) return is_constant(a) || a == Part::Statistic ? Part::Factor : Part::Normalised;
    if (b == Part::Number) return a;
    return std::nullopt;
  }

  const ModelFile& file_;
  std::unordered_map<std::string, Part> parts_;
  std::unordered_map<std::string, int> ids_;
};

}  // namespace

std::map<std::string, AfterNorm> find_normalised_values(const ModelFile& file, const FlatGraph& graph) { return Follower(file, graph).found(); }

bool is_one_a_channel(const Shape& shape) {
  return element_count(shape) > 1 && std::count_if(shape.begin(), shape.end(), [](int64_t size) { return size > 1; }) == 1;
}

}  // namespace sparsify
