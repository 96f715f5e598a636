// ComfyUI's prompt: a graph of nodes, each with its class and its inputs, which are values or [node, output].
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "image/recipe.hpp"
#include "outcome.hpp"

namespace pumice::host {
namespace {

using Json = nlohmann::json;

constexpr int kLongestWay = 64;  // nodes between a picture and its checkpoint

struct Node {
    const Json* json = nullptr;
    std::string id, type;
};

class Graph {
public:
    Graph(const Json& root, const std::string& where) : root_(root), where_(where) {}

    Expected<Recipe> read();

private:
    Failure bad(const std::string& why) const { return {PUMICE_BAD_FORMAT, fmt::format("{}: {}", where_, why)}; }
    Failure cannot(const Node& node, const std::string& why) const {
        return {PUMICE_UNSUPPORTED, fmt::format("{}: node {} ({}) {}", where_, shown(node.id), shown(node.type), why)};
    }
    Expected<Node> node(const std::string& id) const;
    Expected<Node> linked(const Node&, const char* input) const;
    const Json* input(const Node&, const char* name) const;
    /// A value, or that of the node it is linked to, as primitive nodes have one.
    Expected<std::string> value(const Node&, const char* name) const;
    Expected<Node> sampler() const;
    Expected<void> set(const char* flag, const Node&, const char* name);
    Expected<void> read_sampler(const Node&);
    Expected<void> read_latent(const Node&);
    Expected<void> read_model(Node, const char* link);
    Expected<void> read_vae();
    Expected<std::string> text_of(const Node& sampler, const char* link);
    void add_lora(const Node&);

    const Json& root_;
    const std::string& where_;
    Recipe recipe_;
    std::string loras_;
};

std::string stem(const std::string& path) {
    const std::size_t slash = path.find_last_of("/\\");
    const std::string name = slash == std::string::npos ? path : path.substr(slash + 1);
    const std::size_t dot = name.rfind('.');
    return dot == std::string::npos || dot == 0 ? name : name.substr(0, dot);
}

Expected<Node> Graph::node(const std::string& id) const {
    const auto at = root_.find(id);
    if (at == root_.end() || !at->is_object()) return bad(fmt::format("there is no node {}", shown(id)));
    const auto type = at->find("class_type"), inputs = at->find("inputs");
    if (type == at->end() || !type->is_string() || inputs == at->end() || !inputs->is_object())
        return bad(fmt::format("node {} has no class_type or no inputs", shown(id)));
    return Node{&*at, id, type->get<std::string>()};
}

const Json* Graph::input(const Node& from, const char* name) const {
    const auto& inputs = (*from.json)["inputs"];
    const auto at = inputs.find(name);
    return at == inputs.end() ? nullptr : &*at;
}

Expected<Node> Graph::linked(const Node& from, const char* name) const {
    const Json* const link = input(from, name);
    if (!link || !link->is_array() || link->size() != 2 || !(*link)[0].is_string())
        return bad(fmt::format("node {} ({}) has no link at {}", shown(from.id), shown(from.type), name));
    return node((*link)[0].get<std::string>());
}

Expected<std::string> Graph::value(const Node& from, const char* name) const {
    Node at = from;
    const Json* found = input(at, name);
    for (int i = 0; i < kLongestWay && found && found->is_array(); ++i) {
        HOST_ASSIGN(at, linked(at, name));
        for (const char* key : {name, "value", "text", "string", "seed", "noise_seed", "int", "float"})
            if (found = input(at, key); found) {
                name = key;
                break;
            }
    }
    if (found && found->is_string() && !found->get_ref<const std::string&>().empty()) return found->get<std::string>();
    if (found && found->is_string() && std::string_view(name) == "text") return std::string();  // no prompt is one, too
    if (found && found->is_number()) return found->dump();
    return bad(fmt::format("node {} ({}) has no {}", shown(at.id), shown(at.type), name));
}

/// The one that makes the picture. Two after each other are two passes, which one request does not repeat.
Expected<Node> Graph::sampler() const {
    std::optional<Node> found;
    for (const auto& [id, json] : root_.items()) {
        HOST_ASSIGN(Node each, node(id));
        if (each.type != "KSampler" && each.type != "KSamplerAdvanced") continue;
        if (found) return cannot(each, "is a second sampler: only pictures made by one can be repeated");
        found = std::move(each);
    }
    if (found) return *found;
    return Failure{
        PUMICE_UNSUPPORTED,
        fmt::format("{}: it has no node KSampler or KSamplerAdvanced, the ones that are understood", where_)};
}

Expected<void> Graph::set(const char* flag, const Node& from, const char* name) {
    HOST_ASSIGN(const std::string text, value(from, name));
    auto done = set_from_text(recipe_.settings, *find_flag(flag), text,
                              fmt::format("{}: node {}: {}", where_, shown(from.id), name));
    if (!done) return Failure{PUMICE_BAD_FORMAT, done.failure().message};
    return {};
}

Expected<void> Graph::read_sampler(const Node& sampler) {
    const bool advanced = sampler.type == "KSamplerAdvanced";
    HOST_TRY(set("--seed", sampler, advanced ? "noise_seed" : "seed"));
    HOST_TRY(set("--steps", sampler, "steps"));
    HOST_TRY(set("--cfg", sampler, "cfg"));
    HOST_ASSIGN(const std::string sampler_name, value(sampler, "sampler_name"));
    HOST_ASSIGN(const std::string scheduler, value(sampler, "scheduler"));
    const SamplerName name = sampler_named(sampler_name);
    if (name.sampler.empty()) return bad(fmt::format("node {}: sampler_name is empty", shown(sampler.id)));
    Settings& s = recipe_.settings;
    s.sampler = name.sampler;
    s.schedule = schedule_named(scheduler, name.sampler);
    s.sampler_from = fmt::format("{}: node {}: sampler_name", where_, shown(sampler.id));
    s.schedule_from = fmt::format("{}: node {}: scheduler", where_, shown(sampler.id));
    s.plugin_params.insert(name.params.begin(), name.params.end());
    if (const Json* denoise = input(sampler, "denoise"); denoise && denoise->is_number() && denoise->get<double>() < 1)
        return cannot(sampler, "begins with another picture (denoise below 1)");
    if (const Json* start = input(sampler, "start_at_step"); start && start->is_number() && start->get<double>() > 0)
        return cannot(sampler, "begins after the first step");
    return {};
}

Expected<void> Graph::read_latent(const Node& sampler) {
    HOST_ASSIGN(const Node latent, linked(sampler, "latent_image"));
    if (latent.type != "EmptyLatentImage")
        return cannot(latent, "is where the picture begins, but only EmptyLatentImage is understood");
    HOST_TRY(set("--width", latent, "width"));
    return set("--height", latent, "height");
}

/// LoraLoader's strengths, in the form that prompts have: <lora:name:text encoder:UNet>.
void Graph::add_lora(const Node& lora) {
    const auto number = [&](const char* name) {
        const Json* const strength = input(lora, name);
        return strength && strength->is_number() ? strength->get<double>() : 0;
    };
    const Json* const file = input(lora, "lora_name");
    if (file && file->is_string())
        loras_ += fmt::format(" <lora:{}:{}:{}>", stem(file->get<std::string>()), number("strength_clip"),
                              number("strength_model"));
}

/// From the sampler over LoRAs to the checkpoint, along "model"; or from a text over the encoder's end, along "clip".
Expected<void> Graph::read_model(Node at, const char* link) {
    const bool model = std::string_view(link) == "model";
    for (int i = 0; i < kLongestWay; ++i) {
        HOST_ASSIGN(at, linked(at, link));
        if (at.type == "CheckpointLoaderSimple" || at.type == "CheckpointLoader") {
            HOST_ASSIGN(const std::string file, value(at, "ckpt_name"));
            if (model) recipe_.model = Recipe::File{"", stem(file)};
            return {};
        }
        if (at.type == "LoraLoader" || at.type == "LoraLoaderModelOnly") {
            if (model) add_lora(at);
        } else if (at.type == "CLIPSetLastLayer") {
            HOST_ASSIGN(const std::string layer, value(at, "stop_at_clip_layer"));
            const std::string skip = layer.starts_with('-') ? layer.substr(1) : layer;
            auto done = set_from_text(recipe_.settings, *find_flag("--clip-skip"), skip, where_ + ": CLIPSetLastLayer");
            if (!done) return Failure{PUMICE_BAD_FORMAT, done.failure().message};
        } else {
            return cannot(at, fmt::format("stands between the {} and its checkpoint, and is not understood",
                                          model ? "sampler" : "prompt"));
        }
    }
    return bad("the way to the checkpoint leads in a circle");
}

/// ComfyUI has no [word] to weaken: brackets stand for themselves.
std::string without_brackets(const std::string& text) {
    std::string escaped;
    for (const char c : text) {
        if (c == '[' || c == ']') escaped += '\\';
        escaped += c;
    }
    return escaped;
}

Expected<std::string> Graph::text_of(const Node& sampler, const char* link) {
    HOST_ASSIGN(const Node encoder, linked(sampler, link));
    if (encoder.type != "CLIPTextEncode")
        return cannot(encoder, fmt::format("is the {} prompt, but only CLIPTextEncode is understood", link));
    HOST_ASSIGN(const std::string text, value(encoder, "text"));
    HOST_TRY(read_model(encoder, "clip"));
    return without_brackets(text);
}

Expected<void> Graph::read_vae() {
    for (const auto& [id, json] : root_.items()) {
        HOST_ASSIGN(const Node decode, node(id));
        if (decode.type != "VAEDecode") continue;
        HOST_ASSIGN(const Node vae, linked(decode, "vae"));
        if (vae.type != "VAELoader") continue;
        HOST_ASSIGN(const std::string file, value(vae, "vae_name"));
        recipe_.vae = Recipe::File{"", stem(file)};
    }
    return {};
}

Expected<Recipe> Graph::read() {
    recipe_.source = "ComfyUI";
    recipe_.settings.rng = "torch-cpu";
    recipe_.settings.guidance = "none";
    HOST_ASSIGN(const Node main, sampler());
    HOST_TRY(read_sampler(main));
    HOST_TRY(read_latent(main));
    HOST_TRY(read_model(main, "model"));
    HOST_ASSIGN(recipe_.prompt, text_of(main, "positive"));
    HOST_ASSIGN(recipe_.settings.negative_prompt, text_of(main, "negative"));
    HOST_TRY(read_vae());
    if (!recipe_.settings.clip_skip) recipe_.settings.clip_skip = 1;
    recipe_.prompt += loras_;
    return std::move(recipe_);
}

}  // namespace

Expected<Recipe> parse_comfy_prompt(std::string_view json, const std::string& where) {
    // Python writes NaN for values that changed since; JSON has none.
    const Json root = Json::parse(json, nullptr, false);
    if (!root.is_object()) return Failure{PUMICE_BAD_FORMAT, where + ": it is no JSON object of nodes"};
    return Graph(root, where).read();
}

}  // namespace pumice::host
