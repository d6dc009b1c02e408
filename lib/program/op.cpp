#include "program/op.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/tensor.h>
#include <fmt/core.h>

#include <cstdio>
#include <cstdlib>

#include "base/error.h"

namespace sparsify {
namespace {

using OpTable = std::map<std::pair<std::string, std::string>, OpSpec>;

OpTable& table() {
  static auto* ops = new OpTable;
  return *ops;
}

void add(OpSpec spec) {
  const auto key = std::make_pair(spec.domain, spec.name);
  if (!table().emplace(key, std::move(spec)).second) {
    std::fprintf(stderr, "error: operator \"%s\" is registered twice\n", key.second.c_str());
    std::abort();
  }
}

}  // namespace

RegisterOps::RegisterOps(std::initializer_list<OpSpec> specs) {
  for (const OpSpec& spec : specs) add(spec);
}

RegisterOps::RegisterOps(std::string domain, std::initializer_list<OpSpec> specs) {
  for (OpSpec spec : specs) {
    spec.domain = domain;
    add(std::move(spec));
  }
}

const OpSpec* find_op(const std::string& domain, const std::string& name) {
  const auto found = table().find({domain, name});
  return found == table().end() ? nullptr : &found->second;
}

std::vector<const OpSpec*> all_ops() {
  std::vector<const OpSpec*> ops;
  for (const auto& [key, spec] : table()) ops.push_back(&spec);
  return ops;
}

const Value& OpCall::value(size_t input) const {
  if (!has(input)) {
    fail(fmt::format("input {} is missing", input), "the operator needs it; export the model again");
  }
  return *inputs_[input];
}

const at::Tensor& OpCall::tensor(size_t input) const {
  const Value& given = value(input);
  if (!given.is_tensor()) {
    fail(fmt::format("input {} is {}, not a numeric tensor", input, given.describe()), "check the graph");
  }
  return given.tensor();
}

at::Tensor OpCall::tensor_on(size_t input, const at::Tensor& other) const {
  const at::Tensor& given = tensor(input);
  return given.device() == other.device() ? given : given.to(other.device());
}

std::vector<int64_t> OpCall::integers(size_t input) const {
  const at::Tensor flat = tensor(input).to(at::kCPU, at::kLong).contiguous();
  const auto* data = flat.const_data_ptr<int64_t>();
  return {data, data + flat.numel()};
}

int64_t OpCall::integer(size_t input) const {
  const std::vector<int64_t> all = integers(input);
  if (all.size() != 1) fail(fmt::format("input {} has {} elements, one is needed", input, all.size()), "check the graph");
  return all.front();
}

double OpCall::number(size_t input) const {
  const at::Tensor& given = tensor(input);
  if (given.numel() != 1) {
    fail(fmt::format("input {} has {} elements, one is needed", input, given.numel()), "check the graph");
  }
  return given.to(at::kDouble).item<double>();
}

double OpCall::attribute_number(std::string_view name, double otherwise) const {
  const Attribute* attribute = node_->find(name);
  const float* given = attribute == nullptr ? nullptr : std::get_if<float>(&attribute->value);
  return given == nullptr ? otherwise : static_cast<double>(*given);
}

std::vector<float> OpCall::attribute_numbers(std::string_view name) const {
  const Attribute* attribute = node_->find(name);
  const auto* given = attribute == nullptr ? nullptr : std::get_if<std::vector<float>>(&attribute->value);
  return given == nullptr ? std::vector<float>{} : *given;
}

std::vector<std::string> OpCall::attribute_texts(std::string_view name) const {
  const Attribute* attribute = node_->find(name);
  const auto* given = attribute == nullptr ? nullptr : std::get_if<std::vector<std::string>>(&attribute->value);
  return given == nullptr ? std::vector<std::string>{} : *given;
}

Value OpCall::attribute_tensor(std::string_view name) const {
  const Attribute* attribute = node_->find(name);
  const auto* stored = attribute == nullptr ? nullptr : std::get_if<StoredTensor>(&attribute->value);
  return stored == nullptr ? Value() : load_tensor(*stored);
}

std::optional<std::vector<int64_t>> OpCall::axes_from(std::string_view attribute_name, size_t input) const {
  if (has(input)) return integers(input);
  if (has_attribute(attribute_name)) return attribute_integers(attribute_name);
  return std::nullopt;
}

void OpCall::set(size_t output, Value value) {
  if (wants(output)) *outputs_[output] = std::move(value);
}

void OpCall::set_like_input(size_t output, const at::Tensor& tensor, size_t input) {
  const DType given = type(input);
  set(output, carrier_of(given) == tensor.scalar_type() ? Value(tensor, given) : Value(tensor));
}

Rng OpCall::random() const {
  const Attribute* attribute = node_->find("seed");
  if (attribute != nullptr) {
    if (const float* seed = std::get_if<float>(&attribute->value)) return Rng(__builtin_bit_cast(uint32_t, *seed), "seed");
    if (const int64_t* seed = std::get_if<int64_t>(&attribute->value)) return Rng(static_cast<uint64_t>(*seed), "seed");
  }
  return Rng(seed_, node_->label());
}

std::string OpCall::where() const {
  return fmt::format("node \"{}\" ({}{}{}, opset {})", node_->label(), node_->domain, node_->domain.empty() ? "" : ".",
                     node_->op_type, opset_);
}

void OpCall::fail(std::string what, std::string fix) const {
  throw ResourceError{{.what = std::move(what), .where = where(), .fix = std::move(fix)}};
}

int64_t normalise_axis(const OpCall& call, int64_t axis, int64_t rank) {
  const int64_t normal = axis < 0 ? axis + rank : axis;
  if (normal < 0 || normal >= std::max<int64_t>(rank, 1)) {
    call.fail(fmt::format("axis {} is outside a tensor of rank {}", axis, rank), "check the graph");
  }
  return normal;
}

std::vector<int64_t> normalise_axes(const OpCall& call, std::vector<int64_t> axes, int64_t rank) {
  for (int64_t& axis : axes) axis = normalise_axis(call, axis, rank);
  return axes;
}

at::Tensor integer_tensor(const std::vector<int64_t>& values) {
  at::Tensor tensor = at::empty({static_cast<int64_t>(values.size())}, at::TensorOptions(at::kLong));
  std::copy(values.begin(), values.end(), tensor.data_ptr<int64_t>());
  return tensor;
}

}  // namespace sparsify
