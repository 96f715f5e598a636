// What the command line and the settings ask of the engine.
#pragma once

#include <optional>
#include <string>

#include "cli/command_line.hpp"
#include "pumice/pumice.hpp"

namespace pumice::cli {

/// What the settings leave open is the model's choice; a seed that they leave open is drawn. PUMICE_INVALID_ARGUMENT for tiles
/// that are none.
Expected<Request> make_request(const Model&, const host::Settings&, const std::string& prompt);
/// The files of --init-image and --mask, and how they are used.
Expected<std::optional<Picture>> read_picture(const CommandLine&, const host::Settings&);
/// Without a size of its own, and when it goes on from it, a request has its picture's, as near as it can be.
void size_like(const Picture&, const host::Settings&, bool outpainted, Request&);
/// The second pass, of a size as the web UI takes it: cut to multiples of 8.
Expected<std::optional<Hires>> make_hires(const host::Settings&, const Request&);

}  // namespace pumice::cli
