// Pictures made again from what their files tell, and what is written into them for that.
#pragma once

#include <string>
#include <vector>

#include "cli/commands.hpp"
#include "image/recipe.hpp"

namespace pumice::cli {

/// The context of `generate --from`: what the picture tells goes before environment and configuration file, options on
/// the command line before it. The model is found by its hash, else by its name (then stderr says so); PUMICE_NOT_FOUND
/// names both. Errors of host::read_recipe; PUMICE_BAD_FORMAT for a control picture that has changed.
Expected<Context> context_from_picture(const Context&);

/// What made a picture of a request. `precision` is the one in use.
struct MadeWith {
    const Request& request;
    std::uint64_t seed = 0, variation_seed = 0;  ///< the picture's own
    std::string precision, rng;
    host::Recipe::File model;
    std::vector<host::Recipe::Network> loras = {}, embeddings = {};
    std::uint32_t stopped_at = 0;  ///< 0: at its end
};
/// Hashes of the files that took part are computed here: PUMICE_IO and the like.
Expected<std::string> picture_recipe(const Context&, const MadeWith&);

}  // namespace pumice::cli
