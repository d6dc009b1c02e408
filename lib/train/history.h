#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

namespace sparsify {

/// A point of the training curves.
struct TrainRow {
  int64_t step = 0;    ///< optimizer steps done
  double epoch = 0;
  double lr = 0;
  double loss = 0;     ///< mean since the last row of its kind
  double sparsity = 0; ///< of the masked tensors
  std::optional<double> metric{};  ///< of the validation data; rows at the end of an epoch
  double seconds = 0;  ///< of training since the start of the run, checkpointed parts included
  double wait_seconds = 0;  ///< of these, for data
  double time = 0;     ///< Unix time
};

/// What a training run did: the one source of its CSV, its TensorBoard events and its part of the report.
struct TrainHistory {
  std::vector<TrainRow> steps{};   ///< every `log_every` steps
  std::vector<TrainRow> epochs{};
  int64_t samples = 0;      ///< seen, repetitions included
  int64_t resumed = 0;      ///< times that the run was continued
  std::string metric{};     ///< name of TrainRow::metric; "" without validation data
  std::optional<int64_t> best_epoch{};  ///< index into `epochs` of what was exported; nullopt: the last
  bool stopped_early = false;
};

nlohmann::ordered_json to_json(const TrainHistory& history);
TrainHistory history_from_json(const nlohmann::ordered_json& json);

/// `training.csv`: one line a point, steps and epochs together.
std::string to_csv(const TrainHistory& history);

/// `events.out.tfevents...`: scalars loss, lr, sparsity (per logged step), epoch/loss and epoch/<metric>, as TensorBoard reads
/// them: TFRecord framing with masked CRC-32C around tensorflow.Event messages.
std::string to_tensorboard(const TrainHistory& history);

/// Writes training.csv and the event file into `folder`.
void write_curves(const TrainHistory& history, const std::string& folder);

}  // namespace sparsify
