#pragma once

#include <string>
#include <vector>

#include "onnx/model_impl.h"
#include "onnx/splice.h"

namespace sparsify {

/// What an input data file is called beside the output.
struct OutputData {
  std::string location;  ///< a plain file name
  bool renamed = false;  ///< the model's entries must say so
  bool edited = false;
};

/// One for each of impl.data_files, in order. A file keeps its name when it is a plain one, nothing in it changes,
/// and the name is free beside the output; else it becomes `<output stem>.data`, or `<output stem>.data.1` ...
/// So neither the input's data nor that of an output to be overwritten is ever written to.
std::vector<OutputData> name_output_data(const ModelFile::Impl& impl, const std::string& output);

/// Changes `location` of every tensor in a renamed file, and drops `checksum` where the data change.
/// Appends the messages of the entries to `frames`.
std::vector<Splice> location_edits(const ModelFile::Impl& impl, const std::vector<OutputData>& names,
                                   std::vector<Frame>& frames);

/// Data files that the model at `path` refers to and that name_output_data() could have named; empty when there
/// is no such model. They are left over once the model is overwritten.
std::vector<std::string> stale_data_of(const std::string& path);

}  // namespace sparsify
