#pragma once

#include <map>
#include <optional>
#include <string>

#include "tensor/host_tensor.h"

namespace sparsify {

/// Everything that a run needs to go on, bit for bit. What is random is named by counters, so that a step number is the state
/// of all generators and of the data order.
struct Checkpoint {
  std::map<std::string, std::string> identity{};  ///< what it belongs to: `model`, `recipe` -> digest
  std::map<std::string, HostTensor> tensors{};    ///< weights, optimizer state, masks ... by the trainer's names
  std::string state{};                          ///< the rest, as JSON
};

/// `latest.json` names the tensors' file and its SHA-256. It is written last and atomically, and the file it named before goes
/// only then: whenever the process dies, one complete checkpoint is there.
/// throws ResourceError, ExhaustedError (disk full); the checkpoint before stays
void write_checkpoint(const std::string& folder, int64_t step, const Checkpoint& checkpoint);

/// nullopt when the folder has none.
/// throws ResourceError for one that is damaged, ConfigError naming what differs for one of another model or recipe
std::optional<Checkpoint> read_checkpoint(const std::string& folder, const std::map<std::string, std::string>& identity);

bool has_checkpoint(const std::string& folder);
/// Removes what write_checkpoint() made, and the folder if nothing else is in it.
void remove_checkpoints(const std::string& folder);

}  // namespace sparsify
