#pragma once

#include <map>
#include <string>

#include "config/recipe.h"
#include "onnx/model_file.h"
#include "train/settings.h"

namespace sparsify {

/// The recipe's data sets, where `set` (train, validation) has the key `classes`, of its own or the width that the graph states for the output whose classes are learned:
/// then the labels of the whole set are looked at when it is opened, and not hours later when the batch with a wrong one comes.
std::map<std::string, Setting> with_stated_classes(const Recipe& recipe, const TrainSettings& settings, const ModelFile& file, const std::string& set);

/// Most classes that the stated shape of an output leaves: its second axis or its last one. 0: not stated, or a single number.
int64_t stated_classes(const ValueInfo& output);

}  // namespace sparsify
