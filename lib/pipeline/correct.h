#pragma once

#include <string>

#include "config/recipe.h"
#include "pipeline/decide.h"
#include "report/run_report.h"
#include "solvers/correction.h"

namespace sparsify {

/// Before any work: a repair that fits what the recipe does, and data for it and for solvers.
/// throws ConfigError
void require_correctable(const Recipe& recipe);

/// A rule names a solver, or statistics are to be repaired.
/// throws ConfigError for a repair that fits no zeros
bool wants_correction(const Recipe& recipe, const Decisions& decisions);

/// The stage behind decide(): solvers choose masks of the same size and correct what stays. The masks in `decisions` become
/// the solvers'.
///
///   folder  of the evidence: finished layers are kept in its `checkpoints/`
///   throws  ConfigError when there is no calibration data
Correction correct(const ModelFile& file, const Recipe& recipe, const std::string& folder, bool resume, Decisions& decisions);

/// Where finished layers are kept, below the folder of the evidence.
std::string state_folder(const std::string& evidence);
/// What the result depends on beside the calibration data: model, rules, seed and what was `decided`.
std::string correction_fingerprint(const ModelFile& file, const Recipe& recipe, const std::string& decided);

/// Before a run that does not resume: those files are dropped if the run may overwrite.
/// throws ConfigError if it may not
void require_no_solved_layers(const std::string& folder, bool overwrite);
/// Those files, once the run is done.
void drop_solved_layers(const std::string& folder);

/// Errors and times into the rows of the report.
void describe_correction(const Correction& correction, const Decisions& decisions, RunReport& report);

}  // namespace sparsify
