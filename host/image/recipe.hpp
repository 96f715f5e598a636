// How a picture was made, from the texts in its file: Pumice's own, AUTOMATIC1111's parameters, ComfyUI's prompt.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config/settings.hpp"
#include "image/png.hpp"
#include "pumice/pumice.hpp"

namespace pumice::host {

struct Recipe {
    /// A file of weights: by the beginning of its SHA-256, and by its name without ending. Either may be empty.
    struct File {
        std::string hash, name;
    };
    /// A picture that took part, as the option --control names it, and the SHA-256 of its file.
    struct Control {
        std::string option, image_sha256;
    };
    std::string source;  ///< "Pumice 0.1.0", "AUTOMATIC1111's web UI", "ComfyUI"
    std::string prompt;
    Settings settings;  ///< what it tells of generate.* and precision; and plugin_params
    std::optional<File> model, vae, text_encoder, refiner;
    /// A picture to begin with, and the mask on it: file and SHA-256.
    struct Input {
        std::string file, sha256;
    };
    std::optional<Input> init_image, mask;
    std::optional<Input> hires_model;  ///< elsewhere than in Pumice's own text a name, without SHA-256
    /// Made from a picture, and with a mask, that the text does not name.
    bool lacks_picture = false, lacks_mask = false;
    /// A LoRA or an embedding that the prompts name. The file is told where no setting says where it lies.
    struct Network {
        std::string name, file, sha256;
    };
    std::vector<Network> loras, embeddings;
    std::string outpaint;  ///< as the option has it; empty: none
    bool only_masked = false;
    std::vector<std::string> filters;
    std::vector<Control> controls;
    std::vector<std::pair<std::string, std::string>> others;  ///< what it tells beyond that, and is not repeated
};

/// The text that Pumice writes under "pumice" in its pictures: JSON. `settings` are all that count for the picture;
/// paths, the batch and the device are left out.
std::string recipe_text(const Recipe&);

/// Without what is a picture's own: what a file says of one, or leaves to Pumice, is not for a configuration to change.
Settings without_picture(const Settings&);

/// From a file's texts: "pumice" before "parameters" before "prompt". PUMICE_BAD_FORMAT names the file, the text and
/// what is wrong in it, also when there is none of them; PUMICE_UNSUPPORTED says what of a ComfyUI graph cannot be
/// repeated.
Expected<Recipe> read_recipe(std::span<const PngText>, const std::string& file);

/// The three readers. `where` stands at the beginning of messages.
Expected<Recipe> parse_recipe_text(std::string_view json, const std::string& where);
/// As the web UI's infotext_utils.parse_generation_parameters splits it. Without a setting "RNG" the web UI draws its
/// noise on the GPU; without "Schedule type", as before version 1.9, the sampler's name ends with the schedule's.
Expected<Recipe> parse_infotext(std::string_view text, const std::string& where);
/// A graph of ComfyUI's standard nodes, in its API form: one KSampler (or KSamplerAdvanced) over an empty latent.
Expected<Recipe> parse_comfy_prompt(std::string_view json, const std::string& where);

/// Pumice's name for what the web UI or ComfyUI calls a sampler or a schedule; the name itself where none is known. The
/// web UI's older names have both in one: {"dpmpp_2m", "karras"} for "DPM++ 2M Karras". What more is meant goes into
/// `params` ("sampler.solver", "heun").
struct SamplerName {
    std::string sampler, schedule;  ///< schedule empty: not told
    std::map<std::string, std::string> params;
};
SamplerName sampler_named(std::string_view theirs);
std::string schedule_named(std::string_view theirs, const std::string& sampler);

}  // namespace pumice::host
