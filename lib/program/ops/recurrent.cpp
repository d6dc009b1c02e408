// RNN, GRU and LSTM as explicit loops over time, with every option of the standard. What does not
// depend on the state is one matrix product for all steps.
//   X [T, B, I], W [D, G*H, I], R [D, G*H, H], B [D, 2*G*H], sequence_lens [B], initial states [D,
//   B, H], P [D, 3*H]; D directions, G gates. With layout 1 the batch comes first in X, Y and the
//   states.
#include <ATen/TensorOperators.h>
#include <ATen/ops/addmm.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/elu.h>
#include <ATen/ops/leaky_relu.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/sigmoid.h>
#include <ATen/ops/softplus.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tanh.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros_like.h>
#include <fmt/core.h>

#include <algorithm>
#include <cctype>
#include <functional>

#include "program/op.h"

namespace sparsify {
namespace {

using Activation = std::function<at::Tensor(const at::Tensor&)>;

/// One entry of `activations`, with its alpha and beta.
struct ActivationKind {
  std::string name;
  bool uses_alpha = false;
  bool uses_beta = false;
  double alpha = 0;
  double beta = 0;
};

const std::vector<ActivationKind>& activation_kinds() {
  static const std::vector<ActivationKind> kinds{
      {.name = "relu"},
      {.name = "tanh"},
      {.name = "sigmoid"},
      {.name = "softsign"},
      {.name = "softplus"},
      {.name = "affine", .uses_alpha = true, .uses_beta = true, .alpha = 1},
      {.name = "leakyrelu", .uses_alpha = true, .alpha = 0.01},
      {.name = "thresholdedrelu", .uses_alpha = true, .alpha = 1},
      {.name = "scaledtanh", .uses_alpha = true, .uses_beta = true, .alpha = 1, .beta = 1},
      {.name = "hardsigmoid", .uses_alpha = true, .uses_beta = true, .alpha = 0.2, .beta = 0.5},
      {.name = "elu", .uses_alpha = true, .alpha = 1},
  };
  return kinds;
}

Activation activation_of(const ActivationKind& kind) {
  const double alpha = kind.alpha;
  const double beta = kind.beta;
  if (kind.name == "relu") return [](const at::Tensor& x) { return at::relu(x); };
  if (kind.name == "tanh") return [](const at::Tensor& x) { return at::tanh(x); };
  if (kind.name == "sigmoid") return [](const at::Tensor& x) { return at::sigmoid(x); };
  if (kind.name == "softsign") return [](const at::Tensor& x) { return x / (1 + x.abs()); };
  if (kind.name == "softplus") return [](const at::Tensor& x) { return at::softplus(x); };
  if (kind.name == "affine") return [=](const at::Tensor& x) { return x * alpha + beta; };
  if (kind.name == "leakyrelu")
    return [=](const at::Tensor& x) { return at::leaky_relu(x, alpha); };
  if (kind.name == "thresholdedrelu")
    return [=](const at::Tensor& x) { return at::where(x >= alpha, x, at::zeros_like(x)); };
  if (kind.name == "scaledtanh")
    return [=](const at::Tensor& x) { return at::tanh(x * beta) * alpha; };
  if (kind.name == "hardsigmoid")
    return [=](const at::Tensor& x) { return (x * alpha + beta).clamp(0, 1); };
  return [=](const at::Tensor& x) { return at::elu(x, alpha); };
}

std::vector<float> float_list(const OpCall& call, std::string_view name) {
  const Attribute* attribute = call.node().find(name);
  const auto* values =
      attribute == nullptr ? nullptr : std::get_if<std::vector<float>>(&attribute->value);
  return values == nullptr ? std::vector<float>{} : *values;
}

/// The activations of all directions, in order. Alphas and betas are consumed by those that have
/// one.
std::vector<Activation> activations_of(const OpCall& call, size_t directions,
                                       const std::vector<std::string>& defaults) {
  std::vector<std::string> names;
  if (const Attribute* attribute = call.node().find("activations")) {
    if (const auto* given = std::get_if<std::vector<std::string>>(&attribute->value))
      names = *given;
  }
  if (names.empty()) {
    for (size_t direction = 0; direction < directions; ++direction)
      names.insert(names.end(), defaults.begin(), defaults.end());
  }
  if (names.size() != directions * defaults.size()) {
    call.fail(fmt::format("{} activations are given, {} are needed", names.size(),
                          directions * defaults.size()),
              "export the model again");
  }
  const std::vector<float> alphas = float_list(call, "activation_alpha");
  const std::vector<float> betas = float_list(call, "activation_beta");
  size_t alpha = 0;
  size_t beta = 0;
  std::vector<Activation> activations{};
  for (std::string name : names) {
    std::transform(name.begin(), name.end(), name.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    const auto& kinds = activation_kinds();
    const auto known = std::find_if(kinds.begin(), kinds.end(),
                                    [&](const ActivationKind& kind) { return kind.name == name; });
    if (known == kinds.end())
      call.fail(fmt::format("activation \"{}\" is not known", name),
                "use one that the ONNX standard lists");
    ActivationKind kind = *known;
    if (kind.uses_alpha && alpha < alphas.size()) kind.alpha = alphas[alpha++];
    if (kind.uses_beta && beta < betas.size()) kind.beta = betas[beta++];
    activations.push_back(activation_of(kind));
  }
  return activations;
}

/// The tensors of one direction and what a step does with them.
struct Cell {
  at::Tensor recurrent{};       ///< [G*H, H]
  at::Tensor recurrent_bias{};  ///< [G*H], undefined without biases
  at::Tensor peepholes{};       ///< [3*H], undefined without
  std::vector<Activation> activations{};
  int64_t hidden = 0;
  double clip = 0;
  bool linear_before_reset = false;
  bool input_forget = false;

  at::Tensor clipped(const at::Tensor& x) const { return clip > 0 ? x.clamp(-clip, clip) : x; }
  at::Tensor activated(size_t which, const at::Tensor& x) const {
    return activations[which](clipped(x));
  }
  at::Tensor gate(const at::Tensor& gates, int64_t which) const {
    return gates.narrow(1, which * hidden, hidden);
  }
};

struct State {
  at::Tensor h;
  at::Tensor c;  ///< LSTM only
};

/// (cell, input part of the gates [B, G*H], state before) -> state after
using StepFunction = State (*)(const Cell&, const at::Tensor&, const State&);

State rnn_step(const Cell& cell, const at::Tensor& input, const State& before) {
  return {.h = cell.activated(0, at::addmm(input, before.h, cell.recurrent.t())), .c = {}};
}

/// Gates z (update), r (reset), h (candidate); Cho et al. 2014.
State gru_step(const Cell& cell, const at::Tensor& input, const State& before) {
  const int64_t hidden = cell.hidden;
  const at::Tensor weights = cell.recurrent;
  const at::Tensor zr =
      at::addmm(input.narrow(1, 0, 2 * hidden), before.h, weights.narrow(0, 0, 2 * hidden).t());
  const at::Tensor z = cell.activated(0, cell.gate(zr, 0));
  const at::Tensor r = cell.activated(0, cell.gate(zr, 1));
  const at::Tensor candidate_weights = weights.narrow(0, 2 * hidden, hidden).t();
  const at::Tensor from_input = cell.gate(input, 2);
  at::Tensor candidate;
  if (cell.linear_before_reset) {
    at::Tensor recurrent = at::mm(before.h, candidate_weights);
    if (cell.recurrent_bias.defined())
      recurrent = recurrent + cell.recurrent_bias.narrow(0, 2 * hidden, hidden);
    candidate = from_input + r * recurrent;
  } else {
    candidate = at::addmm(from_input, r * before.h, candidate_weights);
  }
  const at::Tensor h = cell.activated(1, candidate);
  return {.h = h + z * (before.h - h), .c = {}};
}

/// Gates i, o, f, c; Hochreiter & Schmidhuber 1997 with the peepholes of Gers & Schmidhuber 2000.
State lstm_step(const Cell& cell, const at::Tensor& input, const State& before) {
  const at::Tensor gates = at::addmm(input, before.h, cell.recurrent.t());
  const bool peeks = cell.peepholes.defined();
  const auto peephole = [&](int64_t which) {
    return cell.peepholes.narrow(0, which * cell.hidden, cell.hidden);
  };
  at::Tensor i = cell.gate(gates, 0);
  at::Tensor o = cell.gate(gates, 1);
  at::Tensor f = cell.gate(gates, 2);
  if (peeks) {
    i = i + peephole(0) * before.c;
    f = f + peephole(2) * before.c;
  }
  i = cell.activated(0, i);
  f = cell.input_forget ? 1 - i : cell.activated(0, f);
  const at::Tensor c = f * before.c + i * cell.activated(1, cell.gate(gates, 3));
  if (peeks) o = o + peephole(1) * c;
  return {.h = cell.activated(0, o) * cell.activations[2](c), .c = c};
}

struct Family {
  int64_t gates = 1;
  StepFunction step = nullptr;
  std::vector<std::string> activations{};
  bool has_cell_state = false;
};

/// Runs one direction over X [T, B, I]; `outputs` gets one [B, H] for each time.
State run_direction(const Cell& cell, StepFunction step, const at::Tensor& gates, State state,
                    const at::Tensor& lengths, bool backward, std::vector<at::Tensor>& outputs) {
  const int64_t times = gates.size(0);
  outputs.assign(static_cast<size_t>(times), at::Tensor());
  for (int64_t i = 0; i < times; ++i) {
    const int64_t time = backward ? times - 1 - i : i;
    State next = step(cell, gates.select(0, time), state);
    at::Tensor output = next.h;
    if (lengths.defined()) {  // past its end a sequence keeps its state and gives zeros
      const at::Tensor active = (lengths > time).unsqueeze(1);
      output = at::where(active, next.h, at::zeros_like(next.h));
      next.h = at::where(active, next.h, state.h);
      if (next.c.defined()) next.c = at::where(active, next.c, state.c);
    }
    outputs[static_cast<size_t>(time)] = output;
    state = next;
  }
  return state;
}

void run(OpCall& call, const Family& family) {
  const bool batch_first = call.attribute("layout", 0) != 0;
  const at::Tensor input = batch_first ? call.tensor(0).transpose(0, 1) : call.tensor(0);
  const at::Tensor& weights = call.tensor(1);
  const at::Tensor& recurrent = call.tensor(2);
  const std::string direction = call.attribute_text("direction", "forward");
  const int64_t directions = weights.size(0);
  const int64_t hidden = recurrent.size(2);
  const int64_t batch = input.size(1);
  if (input.dim() != 3 || weights.dim() != 3 || recurrent.dim() != 3)
    call.fail("X, W and R must have rank 3", "check the graph");
  if (directions != (direction == "bidirectional" ? 2 : 1)) {
    call.fail(fmt::format("W has {} directions, but direction is \"{}\"", directions, direction),
              "check the graph");
  }
  const std::vector<Activation> activations =
      activations_of(call, static_cast<size_t>(directions), family.activations);
  const at::Tensor lengths = call.has(4) ? call.tensor_on(4, input).to(at::kLong) : at::Tensor();
  const auto initial = [&](size_t given, int64_t d) {
    if (!call.has(given)) return at::Tensor(input.new_zeros({batch, hidden}));
    return call.tensor(given).select(batch_first ? 1 : 0, d);
  };

  std::vector<at::Tensor> all;  // per direction [T, B, H]
  std::vector<at::Tensor> last_h;
  std::vector<at::Tensor> last_c;
  for (int64_t d = 0; d < directions; ++d) {
    Cell cell{.recurrent = recurrent.select(0, d)};
    cell.hidden = hidden;
    cell.clip = call.attribute_number("clip", 0);
    cell.linear_before_reset = call.attribute("linear_before_reset", 0) != 0;
    cell.input_forget = call.attribute("input_forget", 0) != 0;
    const auto first = activations.begin() + d * static_cast<int64_t>(family.activations.size());
    cell.activations.assign(first, first + static_cast<std::ptrdiff_t>(family.activations.size()));
    if (family.has_cell_state && call.has(7)) cell.peepholes = call.tensor(7).select(0, d);

    at::Tensor gates = at::matmul(input, weights.select(0, d).t());
    if (call.has(3)) {
      const at::Tensor biases = call.tensor(3).select(0, d);
      const int64_t count = family.gates * hidden;
      cell.recurrent_bias = biases.narrow(0, count, count);
      at::Tensor added = biases.narrow(0, 0, count) + cell.recurrent_bias;
      if (cell.linear_before_reset) {  // the candidate's recurrent bias is scaled by the reset gate
        added = at::cat({added.narrow(0, 0, 2 * hidden), biases.narrow(0, 2 * hidden, hidden)});
      }
      gates = gates + added;
    }
    State state{.h = initial(5, d), .c = {}};
    if (family.has_cell_state) state.c = initial(6, d);
    std::vector<at::Tensor> outputs;
    const bool backward = direction == "reverse" || d == 1;
    state = run_direction(cell, family.step, gates, state, lengths, backward, outputs);
    all.push_back(outputs.empty() ? input.new_zeros({0, batch, hidden}) : at::stack(outputs));
    last_h.push_back(state.h);
    last_c.push_back(state.c);
  }
  // Y is [T, D, B, H], or [B, T, D, H]; the states [D, B, H] or [B, D, H].
  if (call.wants(0)) {
    const at::Tensor stacked = at::stack(all, 1);
    call.set(0, batch_first ? stacked.permute({2, 0, 1, 3}).contiguous() : stacked);
  }
  const int64_t state_axis = batch_first ? 1 : 0;
  if (call.wants(1)) call.set(1, at::stack(last_h, state_axis));
  if (family.has_cell_state && call.wants(2)) call.set(2, at::stack(last_c, state_axis));
}

void rnn(OpCall& call) { run(call, {.gates = 1, .step = rnn_step, .activations = {"Tanh"}}); }
void gru(OpCall& call) {
  run(call, {.gates = 3, .step = gru_step, .activations = {"Sigmoid", "Tanh"}});
}
void lstm(OpCall& call) {
  run(call, {.gates = 4,
             .step = lstm_step,
             .activations = {"Sigmoid", "Tanh", "Tanh"},
             .has_cell_state = true});
}

const RegisterOps entries{
    {.name = "RNN", .function = rnn},
    {.name = "GRU", .function = gru},
    {.name = "LSTM", .function = lstm},
};

}  // namespace
}  // namespace sparsify
