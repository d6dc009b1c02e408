#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "onnx/graph.h"
#include "program/value.h"

namespace sparsify {

/// One folder in the layout of ONNX's backend tests: a model and `test_data_set_*` with inputs and recorded outputs.
struct RecordedCase {
  std::string name;
  std::filesystem::path model;
  std::vector<std::filesystem::path> data_sets;
};

/// Every folder below `root` that holds a model with data sets, sorted by name.
std::vector<RecordedCase> find_cases(const std::filesystem::path& root);

/// How far outputs may lie from the recorded ones.
struct Tolerance {
  double relative_to_element = 1e-3;  ///< ONNX's own backend test
  double relative_to_largest = 1e-5;
  double absolute = 1e-7;
};

/// Runs all data sets; "" when every output agrees, else the first difference or the error's text.
std::string run_case(const RecordedCase& recorded, const Tolerance& tolerance);

/// max |difference| / max |recorded| over the floating-point outputs of the last run_case, for evidence.
double last_relative_difference();

/// A `input_0.pb` / `output_0.pb`: TensorProto, SequenceProto or OptionalProto, as the model's signature says.
Value read_recorded(const std::filesystem::path& file, const ValueInfo& signature);

/// "" when equal within the tolerance (types, shapes and values; NaN equals NaN).
std::string difference(const Value& actual, const Value& expected, const Tolerance& tolerance);

/// The conformance archive of the shared folder, unpacked once into the temporary folder; empty if absent.
std::filesystem::path unpacked_conformance_cases();

}  // namespace sparsify
