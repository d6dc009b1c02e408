#include "train/running_curves.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <nlohmann/json.hpp>

#include "base/atomic_file.h"
#include "base/disk_error.h"
#include "base/folders.h"
#include "train/curve_points.h"

namespace sparsify {
namespace {

/// As the finished run's log.jsonl has it.
std::string log_line(const TrainRow& row) {
  using Json = nlohmann::ordered_json;
  return Json{{"event", "epoch"}, {"step", row.step}, {"epoch", row.epoch}, {"loss", row.loss}, {"lr", row.lr}, {"sparsity", row.sparsity},
              {"metric", row.metric ? Json(*row.metric) : Json()}, {"seconds", row.seconds}}.dump() + "\n";
}

void append(const std::string& path, std::string_view text) {
  const int file = ::open(path.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC);
  int cause = file < 0 ? errno : 0;
  while (cause == 0 && !text.empty()) {
    const ssize_t written = ::write(file, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) cause = errno;
    if (written > 0) text.remove_prefix(static_cast<size_t>(written));
  }
  if (file >= 0) ::close(file);
  if (cause != 0) fail_to_write(path, cause);
}

void bring_to(const std::string& path, const std::string& content) {
  std::ifstream file(path, std::ios::binary);
  const bool is_there = file.is_open();
  const std::string old((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  if (!is_there || !content.starts_with(old)) return write_file_atomically(path, content, /*overwrite=*/true);
  append(path, std::string_view(content).substr(old.size()));
}

}  // namespace

void write_running_curves(const TrainHistory& history, const std::string& folder) {
  if (history.steps.empty() && history.epochs.empty()) return;
  std::string csv = csv_beginning();
  std::string log;
  std::string events;
  const auto begin = [&events](const TrainRow& row) {
    if (events.empty()) events = event_beginning(row.time);
  };
  auto step = history.steps.begin();
  const auto add_steps_before = [&](int64_t end) {
    for (; step != history.steps.end() && step->step < end; ++step) {
      begin(*step);
      csv += csv_point("step", *step);
      events += step_events(*step);
    }
  };
  for (const TrainRow& epoch : history.epochs) {
    add_steps_before(epoch.step + 1);
    begin(epoch);
    csv += csv_point("epoch", epoch);
    events += epoch_events(epoch, history.metric);
    log += log_line(epoch);
  }
  add_steps_before(std::numeric_limits<int64_t>::max());
  const NewFolders made(folder);
  const std::filesystem::path path(folder);
  bring_to((path / "training.csv").string(), csv);
  bring_to((path / "events.out.tfevents.sparsify").string(), events);
  bring_to((path / "log.jsonl").string(), log);
}

}  // namespace sparsify
