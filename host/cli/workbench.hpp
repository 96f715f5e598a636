// What the pictures of one command share.
#pragma once

#include <filesystem>
#include <functional>
#include <future>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "cli/commands.hpp"
#include "cli/interrupt.hpp"
#include "pumice/pumice.hpp"

namespace pumice::cli {

/// Plugins, engine and model, each made when first asked for; the model is kept until another is. To be made before any
/// thread (see Interrupt).
class Workbench {
public:
    Interrupt interrupt;

    /// `clear_line` is called before a warning is printed.
    Expected<void> open(const Context&, std::function<void()> clear_line);
    const Plugins& plugins() const { return *plugins_; }
    const CommandEngine& opened() const { return *engine_; }
    const Engine& engine() const { return engine_->engine(); }

    /// The model in this file with what the settings say of it: other parts, precision, prediction.
    Expected<Model*> model(const std::filesystem::path& file, const host::Settings&);
    /// SHA-256 of a file, read beside the work, once.
    std::shared_future<Expected<std::string>> hash(const std::filesystem::path& file);

private:
    std::optional<Plugins> plugins_;
    std::optional<CommandEngine> engine_;
    std::vector<std::string> loaded_;  ///< what model_ was made of
    std::optional<Model> model_;
    std::map<std::filesystem::path, std::shared_future<Expected<std::string>>> hashes_;
};

/// A picture in memory, and how it was made.
struct MadePicture {
    std::uint32_t width = 0, height = 0;
    std::vector<std::uint8_t> rgb;
    std::string infotext;
};

/// One picture as `generate` makes it, no file written.
Expected<MadePicture> make_picture(const Context&, Workbench&);

/// A grid of pictures, as --x, --y, --z and --prompt-matrix ask for.
bool is_grid(const CommandLine&);
Expected<void> run_grid(const Context&);

}  // namespace pumice::cli
