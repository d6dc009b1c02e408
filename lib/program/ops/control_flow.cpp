// If, Loop, Scan and SequenceMap: subgraphs that run never, once or many times. Gradients flow through every turn.
#include <ATen/TensorOperators.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/scalar_tensor.h>
#include <ATen/ops/stack.h>
#include <fmt/core.h>

#include <algorithm>

#include "program/op.h"
#include "program/ops/movement.h"

namespace sparsify {
namespace {

/// A Loop that has not ended by then is taken to have no end; exporters write "while" with the largest integer as trip count.
constexpr int64_t kMostTurns = 1'000'000;

bool is_true(const OpCall& call, const Value& condition) {
  if (!condition.is_tensor() || condition.tensor().numel() != 1) {
    call.fail(fmt::format("the condition is {}, not one truth value", condition.describe()), "check the graph");
  }
  return condition.tensor().item<bool>();
}

void set_all(OpCall& call, std::vector<Value> values, size_t first = 0) {
  for (size_t i = 0; i < values.size(); ++i) call.set(first + i, std::move(values[i]));
}

const Graph& body_of(const OpCall& call) {
  const Attribute* attribute = call.node().find("body");
  const auto* graph = attribute == nullptr ? nullptr : std::get_if<std::shared_ptr<const Graph>>(&attribute->value);
  if (graph == nullptr) call.fail("the subgraph \"body\" is missing", "export the model again");
  return **graph;
}

/// Values of a scan output, one a turn, along a new axis. Without turns its shape is what the body declares.
Value stacked(const std::vector<Value>& turns, int64_t axis, const ValueInfo& declared) {
  if (!turns.empty()) {
    std::vector<const Value*> values;
    for (const Value& turn : turns) values.push_back(&turn);
    return moved(values, [axis](const std::vector<at::Tensor>& tensors) {
      return at::stack(tensors, axis < 0 ? axis + tensors.front().dim() + 1 : axis);
    });
  }
  Shape shape;
  if (declared.shape) {
    for (const Dimension& dimension : *declared.shape) shape.push_back(std::max<int64_t>(dimension.size, 0));
  }
  const auto rank = static_cast<int64_t>(shape.size());
  shape.insert(shape.begin() + (axis < 0 ? axis + rank + 1 : axis), 0);
  if (declared.type == DType::String) return Value::of_strings(HostTensor::of_strings(shape, {}));
  const DType type = declared.type == DType::Undefined ? DType::Float32 : declared.type;
  return Value(at::empty(shape, at::TensorOptions(carrier_of(type))), type);
}

void choose(OpCall& call) {
  const bool yes = is_true(call, call.value(0));
  set_all(call, call.run_subgraph(yes ? "then_branch" : "else_branch", {}));
}

void loop(OpCall& call) {
  const int64_t most = call.has(0) ? call.integer(0) : kMostTurns + 1;
  Value condition = call.has(1) ? call.value(1) : Value(at::scalar_tensor(1, at::TensorOptions(at::kBool)));
  const size_t carried_count = call.input_count() > 2 ? call.input_count() - 2 : 0;
  std::vector<Value> carried;
  for (size_t i = 0; i < carried_count; ++i) carried.push_back(call.has(i + 2) ? call.value(i + 2) : Value());
  const std::vector<ValueInfo>& declared = body_of(call).outputs;
  if (declared.size() < carried_count + 1) {
    call.fail(fmt::format("the body has {} outputs for {} carried values", declared.size(), carried_count),
              "export the model again");
  }
  std::vector<std::vector<Value>> scans(declared.size() - carried_count - 1);
  for (int64_t turn = 0; turn < most && is_true(call, condition); ++turn) {
    if (turn >= kMostTurns) {
      call.fail(fmt::format("the loop has not ended after {} turns", turn), "check the loop's condition: with this input it stays true");
    }
    std::vector<Value> inputs{Value(at::scalar_tensor(turn, at::TensorOptions(at::kLong))), condition};
    std::move(carried.begin(), carried.end(), std::back_inserter(inputs));
    std::vector<Value> outputs = call.run_subgraph("body", inputs);
    condition = std::move(outputs.front());
    carried.assign(std::make_move_iterator(outputs.begin() + 1),
                   std::make_move_iterator(outputs.begin() + 1 + static_cast<int64_t>(carried_count)));
    for (size_t i = 0; i < scans.size(); ++i) scans[i].push_back(std::move(outputs[carried_count + 1 + i]));
  }
  set_all(call, std::move(carried));
  for (size_t i = 0; i < scans.size(); ++i) {
    call.set(carried_count + i, stacked(scans[i], 0, declared[carried_count + 1 + i]));
  }
}

/// Axis and direction of each scan input or output.
struct ScanLayout {
  std::vector<int64_t> axes;
  std::vector<int64_t> reversed;

  ScanLayout(const OpCall& call, const char* axes_name, const char* directions_name, size_t count)
      : axes(call.attribute_integers(axes_name, std::vector<int64_t>(count, 0))),
        reversed(call.attribute_integers(directions_name, std::vector<int64_t>(count, 0))) {
    if (axes.size() != count || reversed.size() != count) {
      call.fail(fmt::format("\"{}\" and \"{}\" must name {} scan values", axes_name, directions_name, count),
                "export the model again");
    }
  }
};

/// Runs the body over `turns` slices; returns the final states, then the scan outputs as lists of turns.
struct ScanRun {
  std::vector<Value> states;
  std::vector<std::vector<Value>> scans;
};

ScanRun scan_over(OpCall& call, std::vector<Value> states, const std::vector<Value>& sequences,
                  const ScanLayout& in, int64_t turns, size_t scan_outputs) {
  ScanRun run{std::move(states), std::vector<std::vector<Value>>(scan_outputs)};
  const size_t state_count = run.states.size();
  for (int64_t turn = 0; turn < turns; ++turn) {
    std::vector<Value> inputs = std::move(run.states);
    for (size_t i = 0; i < sequences.size(); ++i) {
      const int64_t at = in.reversed[i] != 0 ? turns - 1 - turn : turn;
      inputs.push_back(moved(sequences[i], [&](const at::Tensor& x) { return x.select(in.axes[i], at); }));
    }
    std::vector<Value> outputs = call.run_subgraph("body", inputs);
    run.states.assign(outputs.begin(), outputs.begin() + static_cast<int64_t>(state_count));
    for (size_t i = 0; i < scan_outputs; ++i) run.scans[i].push_back(outputs[state_count + i]);
  }
  return run;
}

int64_t length_along(const Value& value, int64_t axis) {
  if (!value.is_strings()) return value.tensor().size(axis);
  const Shape& shape = value.strings().shape();
  return shape.at(static_cast<size_t>(axis < 0 ? axis + static_cast<int64_t>(shape.size()) : axis));
}

/// Opset 8: a leading batch axis everywhere, an optional length for each sample.
void scan_batches(OpCall& call, size_t sequence_count) {
  const size_t state_count = call.input_count() - 1 - sequence_count;
  const std::vector<ValueInfo>& declared = body_of(call).outputs;
  const size_t scan_outputs = declared.size() - state_count;
  ScanLayout in(call, "axes", "directions", sequence_count);
  const int64_t batch = length_along(call.value(1), 0);
  const int64_t longest = length_along(call.value(1 + state_count), 1);
  const std::vector<int64_t> lengths =
      call.has(0) ? call.integers(0) : std::vector<int64_t>(static_cast<size_t>(batch), longest);
  std::vector<std::vector<Value>> results(declared.size());
  for (int64_t sample = 0; sample < batch; ++sample) {
    const auto of_sample = [&](size_t input) {
      return moved(call.value(input), [sample](const at::Tensor& x) { return x.select(0, sample); });
    };
    std::vector<Value> states;
    std::vector<Value> sequences;
    for (size_t i = 0; i < state_count; ++i) states.push_back(of_sample(1 + i));
    for (size_t i = 0; i < sequence_count; ++i) sequences.push_back(of_sample(1 + state_count + i));
    const int64_t length = lengths[static_cast<size_t>(sample)];
    ScanRun run = scan_over(call, std::move(states), sequences, in, length, scan_outputs);
    for (size_t i = 0; i < state_count; ++i) results[i].push_back(std::move(run.states[i]));
    for (size_t i = 0; i < scan_outputs; ++i) {
      results[state_count + i].push_back(
          moved(stacked(run.scans[i], 0, declared[state_count + i]), [&](const at::Tensor& x) {
            std::vector<int64_t> pads(static_cast<size_t>(2 * x.dim()), 0);
            pads.back() = longest - length;  // shorter samples end in zeros
            return at::constant_pad_nd(x, pads);
          }));
    }
  }
  for (size_t i = 0; i < results.size(); ++i) call.set(i, stacked(results[i], 0, declared[i]));
}

void scan(OpCall& call) {
  const auto sequence_count = static_cast<size_t>(call.attribute("num_scan_inputs", 1));
  if (sequence_count < 1 || call.input_count() < sequence_count + (call.opset() < 9 ? 1 : 0)) {
    call.fail(fmt::format("{} scan inputs among {} inputs", sequence_count, call.input_count()), "export the model again");
  }
  if (call.opset() < 9) return scan_batches(call, sequence_count);
  const size_t state_count = call.input_count() - sequence_count;
  const std::vector<ValueInfo>& declared = body_of(call).outputs;
  if (declared.size() < state_count) call.fail("the body has fewer outputs than states", "export the model again");
  const size_t scan_outputs = declared.size() - state_count;
  const ScanLayout in(call, "scan_input_axes", "scan_input_directions", sequence_count);
  const ScanLayout out(call, "scan_output_axes", "scan_output_directions", scan_outputs);
  std::vector<Value> states;
  std::vector<Value> sequences;
  for (size_t i = 0; i < state_count; ++i) states.push_back(call.value(i));
  for (size_t i = 0; i < sequence_count; ++i) sequences.push_back(call.value(state_count + i));
  const int64_t turns = length_along(sequences.front(), in.axes.front());
  ScanRun run = scan_over(call, std::move(states), sequences, in, turns, scan_outputs);
  set_all(call, std::move(run.states));
  for (size_t i = 0; i < scan_outputs; ++i) {
    if (out.reversed[i] != 0) std::reverse(run.scans[i].begin(), run.scans[i].end());
    call.set(state_count + i, stacked(run.scans[i], out.axes[i], declared[state_count + i]));
  }
}

void sequence_map(OpCall& call) {
  if (!call.value(0).is_sequence()) call.fail("input 0 is not a sequence", "check the graph");
  std::vector<std::vector<Value>> results(body_of(call).outputs.size());
  for (size_t turn = 0; turn < call.value(0).items().size(); ++turn) {
    std::vector<Value> inputs;
    for (size_t i = 0; i < call.input_count(); ++i) {
      const Value& value = call.value(i);
      if (value.is_sequence() && turn >= value.items().size()) {
        call.fail(fmt::format("input {} is a shorter sequence than input 0", i), "check the graph");
      }
      inputs.push_back(value.is_sequence() ? value.items()[turn] : value);
    }
    std::vector<Value> outputs = call.run_subgraph("body", inputs);
    for (size_t i = 0; i < results.size(); ++i) results[i].push_back(std::move(outputs[i]));
  }
  for (size_t i = 0; i < results.size(); ++i) call.set(i, Value::of_sequence(std::move(results[i])));
}

const RegisterOps entries{
    {.name = "If", .function = choose, .shape_inputs = kAllInputs},
    {.name = "Loop", .function = loop, .shape_inputs = kAllInputs, .notes = "at most 1,000,000 turns"},
    {.name = "Scan", .function = scan, .shape_inputs = kAllInputs},
    {.name = "SequenceMap", .function = sequence_map, .shape_inputs = kAllInputs},
};

}  // namespace
}  // namespace sparsify
