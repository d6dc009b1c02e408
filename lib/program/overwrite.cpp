// Elementwise operators that write their result over an input. Whether nobody else holds the input's memory is asked in
// every run: a view of it, a parameter, a folded value or the caller may.
#include <ATen/TensorOperators.h>
#include <ATen/ops/_softmax.h>
#include <ATen/ops/elu.h>
#include <ATen/ops/erf.h>
#include <ATen/ops/exp.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/hardswish.h>
#include <ATen/ops/leaky_relu.h>
#include <ATen/ops/neg.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/sigmoid.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/sqrt.h>
#include <ATen/ops/tanh.h>

#include <algorithm>
#include <map>

#include "program/overwrite.h"
#include "program/schedule.h"

namespace sparsify {
namespace {

bool is_ours_alone(const Value& value) {
  if (!value.is_tensor() || value.straight_through().defined()) return false;
  const at::Tensor& tensor = value.tensor();
  return tensor.is_floating_point() && type_of(tensor.scalar_type()) == value.type() && tensor.use_count() == 1 &&
         tensor.has_storage() && tensor.storage().use_count() == 1 && tensor.is_non_overlapping_and_dense() &&
         tensor.is_inference();
}

struct Unary {
  at::Tensor& (*overwrite)(at::Tensor&, double) = nullptr;
  at::Tensor (*compute)(const at::Tensor&, double) = nullptr;
  const char* attribute = "";
  double otherwise = 0;
};

const std::map<std::string, Unary>& unaries() {
  static const std::map<std::string, Unary> table{
      {"Relu", {[](at::Tensor& x, double) -> at::Tensor& { return at::relu_(x); }, [](const at::Tensor& x, double) { return at::relu(x); }}},
      {"Sigmoid", {[](at::Tensor& x, double) -> at::Tensor& { return at::sigmoid_(x); }, [](const at::Tensor& x, double) { return at::sigmoid(x); }}},
      {"Tanh", {[](at::Tensor& x, double) -> at::Tensor& { return at::tanh_(x); }, [](const at::Tensor& x, double) { return at::tanh(x); }}},
      {"Erf", {[](at::Tensor& x, double) -> at::Tensor& { return at::erf_(x); }, [](const at::Tensor& x, double) { return at::erf(x); }}},
      {"Exp", {[](at::Tensor& x, double) -> at::Tensor& { return at::exp_(x); }, [](const at::Tensor& x, double) { return at::exp(x); }}},
      {"Sqrt", {[](at::Tensor& x, double) -> at::Tensor& { return at::sqrt_(x); }, [](const at::Tensor& x, double) { return at::sqrt(x); }}},
      {"Neg", {[](at::Tensor& x, double) -> at::Tensor& { return at::neg_(x); }, [](const at::Tensor& x, double) { return at::neg(x); }}},
      {"HardSwish", {[](at::Tensor& x, double) -> at::Tensor& { return at::hardswish_(x); }, [](const at::Tensor& x, double) { return at::hardswish(x); }}},
      {"LeakyRelu", {[](at::Tensor& x, double a) -> at::Tensor& { return at::leaky_relu_(x, a); }, [](const at::Tensor& x, double a) { return at::leaky_relu(x, a); }, "alpha", 0.01}},
      {"Gelu", {[](at::Tensor& x, double) -> at::Tensor& { return at::gelu_(x); }, [](const at::Tensor& x, double) { return at::gelu(x); }}},
      {"Elu", {[](at::Tensor& x, double a) -> at::Tensor& { return at::elu_(x, a); }, [](const at::Tensor& x, double a) { return at::elu(x, a); }, "alpha", 1.0}},
  };
  return table;
}

class UnaryKernel final : public Kernel {
 public:
  UnaryKernel(const Unary& how, double parameter, int from, int to) : how_(how), parameter_(parameter), from_(from), to_(to) {}

  void run(Frame& frame) const override {
    const Value& input = frame.slots[static_cast<size_t>(from_)];
    if (is_ours_alone(input)) {
      at::Tensor tensor = input.tensor();
      how_.overwrite(tensor, parameter_);
      frame.slots[static_cast<size_t>(to_)] = Value(tensor);
    } else {
      frame.slots[static_cast<size_t>(to_)] = Value(how_.compute(input.tensor(), parameter_));
    }
  }

 private:
  const Unary& how_;
  double parameter_;
  int from_;
  int to_;
};

/// Rows are independent, and each is read before it is written.
void write_softmax(at::Tensor x) { at::_softmax_out(x, x, x.dim() - 1, /*half_to_float=*/false); }

bool is_over_last_axis(const Step& step, const at::Tensor& x) {
  const int64_t axis = step.node->integer("axis", step.opset >= 13 ? -1 : 1);
  return x.dim() > 0 && x.scalar_type() == at::kFloat && x.is_contiguous() && (axis == -1 || axis == x.dim() - 1);
}

class SoftmaxKernel final : public Kernel {
 public:
  SoftmaxKernel(const Step& step, int from, int to) : step_(step), from_(from), to_(to) {}

  void run(Frame& frame) const override {
    const Value& input = frame.slots[static_cast<size_t>(from_)];
    if (is_ours_alone(input) && is_over_last_axis(step_, input.tensor())) {
      write_softmax(input.tensor());
      frame.slots[static_cast<size_t>(to_)] = Value(input.tensor());
    } else {
      frame.slots[static_cast<size_t>(to_)] = Value(at::softmax(input.tensor(), -1));
    }
  }

 private:
  const Step& step_;
  int from_;
  int to_;
};

enum class Arithmetic { Add, Subtract, Multiply, Divide };

/// a op b; `left_ends`, `right_ends`: nobody reads that operand afterwards.
class BinaryKernel final : public Kernel {
 public:
  BinaryKernel(Arithmetic how, int left, int right, int to, bool left_ends, bool right_ends)
      : how_(how), left_(left), right_(right), to_(to), left_ends_(left_ends), right_ends_(right_ends) {}

  void run(Frame& frame) const override {
    const Value& left = frame.slots[static_cast<size_t>(left_)];
    const Value& right = frame.slots[static_cast<size_t>(right_)];
    const at::Tensor a = left.tensor();
    const at::Tensor b = right.tensor();
    const auto fits = [](const Value& into, const at::Tensor& kept, const at::Tensor& other) {
      // The handle above counts once more than is_ours_alone expects, so that its conditions are spelt out here.
      return into.type() == type_of(kept.scalar_type()) && kept.scalar_type() == other.scalar_type() &&
             !into.straight_through().defined() && kept.use_count() == 2 && kept.has_storage() &&
             kept.storage().use_count() == 1 && kept.is_non_overlapping_and_dense() && kept.is_inference() &&
             other.device() == kept.device() && broadcasts_to(other.sizes(), kept.sizes()) &&
             (other.dim() < 4 || other.strides() == kept.strides() || other.numel() < kept.numel());
    };
    at::Tensor result;
    if (left_ends_ && fits(left, a, b)) {
      result = a;
      switch (how_) {
        case Arithmetic::Add: result.add_(b); break;
        case Arithmetic::Subtract: result.sub_(b); break;
        case Arithmetic::Multiply: result.mul_(b); break;
        case Arithmetic::Divide: result.div_(b); break;
      }
    } else if (right_ends_ && (how_ == Arithmetic::Add || how_ == Arithmetic::Multiply) && fits(right, b, a)) {
      result = b;
      how_ == Arithmetic::Add ? result.add_(a) : result.mul_(a);
    } else {
      switch (how_) {
        case Arithmetic::Add: result = a + b; break;
        case Arithmetic::Subtract: result = a - b; break;
        case Arithmetic::Multiply: result = a * b; break;
        case Arithmetic::Divide: result = a / b; break;
      }
    }
    frame.slots[static_cast<size_t>(to_)] = Value(result);
  }

 private:
  static bool broadcasts_to(at::IntArrayRef from, at::IntArrayRef to) {
    if (from.size() > to.size()) return false;
    const size_t lead = to.size() - from.size();
    for (size_t i = 0; i < from.size(); ++i) {
      if (from[i] != 1 && from[i] != to[lead + i]) return false;
    }
    return true;
  }

  Arithmetic how_;
  int left_;
  int right_;
  int to_;
  bool left_ends_;
  bool right_ends_;
};

const std::map<std::string, Arithmetic>& binaries() {
  static const std::map<std::string, Arithmetic> table{{"Add", Arithmetic::Add},
                                                       {"Sub", Arithmetic::Subtract},
                                                       {"Mul", Arithmetic::Multiply},
                                                       {"Div", Arithmetic::Divide}};
  return table;
}

bool is_float(const Learned& learned, int slot) {
  return learned.slots[static_cast<size_t>(slot)].type == at::kFloat;
}

}  // namespace

void overwrite_inputs(Schedule& schedule, const Learned& learned) {
  for (Work& work : schedule.works) {
    const Node& node = *work.step->node;
    if (work.kernel || !node.domain.empty() || work.writes.size() != 1 || !is_float(learned, work.writes.front())) continue;
    const auto ends = [&work](int slot) { return std::find(work.release.begin(), work.release.end(), slot) != work.release.end(); };
    const int64_t rank = work.reads.empty() ? 0 : static_cast<int64_t>(learned.slots[static_cast<size_t>(work.reads.front())].shape.size());
    const int64_t axis = node.integer("axis", work.step->opset >= 13 ? -1 : 1);
    if (node.op_type == "Softmax" && work.reads.size() == 1 && ends(work.reads.front()) && rank > 0 && (axis == -1 || axis == rank - 1)) {
      work.kernel = std::make_unique<SoftmaxKernel>(*work.step, work.reads.front(), work.writes.front());
      continue;
    }
    if (node.op_type == "Gelu" && node.text("approximate", "none") != "none") continue;
    const auto unary = unaries().find(node.op_type);
    if (unary != unaries().end() && work.reads.size() == 1 && ends(work.reads.front())) {
      const double parameter = *unary->second.attribute == '\0' ? 0 : node.number(unary->second.attribute, static_cast<float>(unary->second.otherwise));
      work.kernel = std::make_unique<UnaryKernel>(unary->second, parameter, work.reads.front(), work.writes.front());
      continue;
    }
    const auto binary = binaries().find(node.op_type);
    if (binary == binaries().end() || work.step->opset < 7 || work.reads.size() != 2) continue;
    const int left = work.reads[0];
    const int right = work.reads[1];
    if (left == right || !is_float(learned, left) || !is_float(learned, right) || (!ends(left) && !ends(right))) continue;
    work.kernel = std::make_unique<BinaryKernel>(binary->second, left, right, work.writes.front(), ends(left), ends(right));
  }
}

bool softmax_over_input(const Step& step, Frame& frame, const std::vector<bool>& keep) {
  if (!step.node->domain.empty() || step.node->op_type != "Softmax" || step.inputs.size() != 1 || step.inputs.front().depth != 0) return false;
  const int from = step.inputs.front().index;
  const int to = step.outputs.front();
  if (from < 0 || to < 0 || std::find(step.release.begin(), step.release.end(), from) == step.release.end()) return false;
  if (!keep.empty() && keep[static_cast<size_t>(from)]) return false;
  const Value& input = frame.slots[static_cast<size_t>(from)];
  if (!is_ours_alone(input) || !is_over_last_axis(step, input.tensor())) return false;
  write_softmax(input.tensor());
  frame.slots[static_cast<size_t>(to)] = Value(input.tensor());
  return true;
}

}  // namespace sparsify
