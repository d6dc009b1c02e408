#include <ATen/TensorOperators.h>
#include <ATen/ops/zeros_like.h>
#include <fmt/core.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>

#include "base/error.h"
#include "onnx/model_file.h"
#include "program/cases.h"
#include "program/op.h"
#include "program/program.h"
#include "support/catch.h"

using namespace sparsify;

namespace {

std::string shapes_of(const std::vector<Value>& values) {
  std::string text;
  for (const Value& value : values) {
    text += value.describe();
    if (value.is_sequence()) text += "(" + shapes_of(value.items()) + ")";
  }
  return text;
}

/// Other values of the same type and shape.
std::vector<Value> variations(const Value& value) {
  if (value.is_strings()) {
    std::vector<std::string> reversed(value.strings().strings().rbegin(), value.strings().strings().rend());
    return {Value::of_strings(HostTensor::of_strings(value.strings().shape(), std::move(reversed)))};
  }
  if (!value.is_tensor() || c10::isFloat8Type(value.tensor().scalar_type())) return {};
  const at::Tensor& tensor = value.tensor();
  return {Value(tensor.flatten().flip({0}).view(tensor.sizes()), value.type()),
          Value(at::zeros_like(tensor), value.type()), Value((at::zeros_like(tensor) + 1).to(tensor.scalar_type()), value.type())};
}

std::vector<Value> read_inputs(const Program& program, const std::filesystem::path& folder) {
  std::vector<Value> inputs;
  for (size_t i = 0; i < program.inputs().size(); ++i) {
    const auto path = folder / fmt::format("input_{}.pb", i);
    inputs.push_back(std::filesystem::exists(path) ? read_recorded(path, program.inputs()[i]) : Value());
  }
  return inputs;
}

/// Until it goes out of scope the process may grow by this much and no more: an operator that takes a value for a size
/// fails instead of filling the machine.
class GrowthLimit {
 public:
  explicit GrowthLimit(uint64_t bytes) {
    ::getrlimit(RLIMIT_AS, &before_);
    std::ifstream statistics("/proc/self/statm");
    uint64_t pages = 0;
    statistics >> pages;
    rlimit now = before_;
    now.rlim_cur = std::min<rlim_t>(before_.rlim_cur, pages * static_cast<uint64_t>(::sysconf(_SC_PAGESIZE)) + bytes);
    ::setrlimit(RLIMIT_AS, &now);
  }
  ~GrowthLimit() { ::setrlimit(RLIMIT_AS, &before_); }
  GrowthLimit(const GrowthLimit&) = delete;
  GrowthLimit& operator=(const GrowthLimit&) = delete;

 private:
  rlimit before_{};
};

constexpr int64_t kLargestInput = 100'000;  ///< elements; larger cases would only take time

}  // namespace

TEST_CASE("shapes of outputs change only with the inputs that an operator declares", "[program][conformance]") {
  const auto root = unpacked_conformance_cases();
  if (root.empty()) return;
  const GrowthLimit limit(uint64_t{1} << 30);
  int tried = 0;
  for (const RecordedCase& recorded : find_cases(root)) {
    const ModelFile file = ModelFile::load(recorded.model.string());
    const Graph& graph = file.model().graph;
    const OpSpec* op = graph.nodes.size() != 1 ? nullptr : find_op(graph.nodes[0].domain, graph.nodes[0].op_type);
    if (op == nullptr || op->shape_inputs == kAllInputs) continue;
    const auto run = [&file](const std::vector<Value>& inputs) { return shapes_of(Program::build(file)->run(inputs).outputs); };
    const std::vector<Value> inputs = read_inputs(*Program::build(file), recorded.data_sets.front());
    std::string usual;
    try {
      usual = run(inputs);
    } catch (const std::exception&) {
      continue;  // the conformance test tells of it
    }
    const std::vector<std::string>& names = graph.nodes[0].inputs;
    for (size_t i = 0; i < graph.inputs.size(); ++i) {
      const auto place = std::find(names.begin(), names.end(), graph.inputs[i].name) - names.begin();
      if (place >= static_cast<std::ptrdiff_t>(names.size()) || ((op->shape_inputs >> place) & 1U) != 0) continue;
      if (inputs[i].is_tensor() && inputs[i].tensor().numel() > kLargestInput) continue;
      for (const Value& other : variations(inputs[i])) {
        std::vector<Value> changed = inputs;
        changed[i] = other;
        std::string shapes;
        try {
          shapes = run(changed);
        } catch (const ExhaustedError& e) {
          shapes = e.what();
        } catch (const std::exception&) {
          continue;  // not a valid input
        }
        ++tried;
        INFO(recorded.name << ": input " << place << " of " << op->name);
        CHECK(shapes == usual);
      }
    }
  }
  CHECK(tried > 1000);
}
