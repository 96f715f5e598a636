// Writes a single-file Stable Diffusion 1.x checkpoint as the folder that diffusers would save. The names are made here
// from the original's, by rules of its own: what reads the folder makes them the other way round.
#pragma once

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace pumice::test {

struct DiffusersOptions {
    bool old_attention = false;  ///< the VAE's attention as diffusers named it before 0.12
    bool shards = false;         ///< the UNet in two files with an index
    std::string variant;         ///< "fp16": in the files' names
    std::string prediction = "epsilon";
};

class DiffusersFolder {
public:
    DiffusersFolder(const std::filesystem::path& checkpoint, DiffusersOptions options) : options_(std::move(options)) {
        std::ifstream in(checkpoint, std::ios::binary);
        file_.assign(std::istreambuf_iterator<char>(in), {});
        std::uint64_t size = 0;
        std::memcpy(&size, file_.data(), 8);
        header_ = nlohmann::json::parse(file_.substr(8, size));
        data_ = 8 + static_cast<std::size_t>(size);
        config_ = nlohmann::json::parse(header_["__metadata__"]["tiny_config"].get<std::string>());
        resnets_ = config_["unet"]["num_res_blocks"];
        levels_ = static_cast<unsigned>(config_["vae"]["ch_mult"].size());
    }

    void write(const std::filesystem::path& folder) const {
        namespace fs = std::filesystem;
        for (const char* part : {"unet", "vae", "text_encoder", "scheduler"}) fs::create_directories(folder / part);
        put(folder / "model_index.json", R"({"_class_name": "StableDiffusionPipeline"})");
        put(folder / "unet/config.json",
            fmt::format(R"({{"attention_head_dim": {}}})", config_["unet"]["num_heads"].dump()));
        put(folder / "vae/config.json",
            fmt::format(R"({{"scaling_factor": {}}})", config_["vae"]["scale_factor"].dump()));
        put(folder / "text_encoder/config.json",
            fmt::format(R"({{"num_attention_heads": {}}})", config_["text"]["heads"].dump()));
        put(folder / "scheduler/scheduler_config.json",
            fmt::format(R"({{"prediction_type": "{}"}})", options_.prediction));
        std::map<std::string, Names> parts;
        for (const auto& [name, entry] : header_.items())
            if (const auto to = diffusers_name(name); !to.second.empty()) parts[to.first][to.second] = name;
        const std::string end = (options_.variant.empty() ? "" : "." + options_.variant) + ".safetensors";
        put(folder / "vae" / ("diffusion_pytorch_model" + end), safetensors(parts["vae"]));
        put(folder / "text_encoder" / ("model" + end), safetensors(parts["text_encoder"]));
        if (options_.shards)
            write_shards(folder / "unet", parts["unet"]);
        else
            put(folder / "unet" / ("diffusion_pytorch_model" + end), safetensors(parts["unet"]));
    }

private:
    using Names = std::map<std::string, std::string>;  // new → in the checkpoint
    using Rules = std::vector<std::pair<std::string, std::string>>;

    static void put(const std::filesystem::path& file, const std::string& bytes) {
        std::ofstream(file, std::ios::binary) << bytes;
    }

    std::string safetensors(const Names& names) const {
        nlohmann::json header = nlohmann::json::object();
        std::string data;
        for (const auto& [name, from] : names) {
            nlohmann::json entry = header_[from];
            const std::size_t begin = entry["data_offsets"][0], end = entry["data_offsets"][1];
            entry["data_offsets"] = {data.size(), data.size() + end - begin};
            data += file_.substr(data_ + begin, end - begin);
            header[name] = entry;
        }
        const std::string text = header.dump();
        std::string file(8, '\0');
        const std::uint64_t size = text.size();
        std::memcpy(file.data(), &size, 8);
        return file + text + data;
    }

    void write_shards(const std::filesystem::path& folder, const Names& names) const {
        Names halves[2];
        nlohmann::json map;
        std::size_t i = 0;
        for (const auto& [name, from] : names) {
            const std::size_t shard = i++ < names.size() / 3 ? 0 : 1;
            halves[shard][name] = from;
            map[name] = fmt::format("diffusion_pytorch_model-0000{}-of-00002.safetensors", shard + 1);
        }
        for (int k = 0; k < 2; ++k)
            put(folder / fmt::format("diffusion_pytorch_model-0000{}-of-00002.safetensors", k + 1),
                safetensors(halves[k]));
        put(folder / "diffusion_pytorch_model.safetensors.index.json",
            nlohmann::json({{"metadata", {{"total_size", 1}}}, {"weight_map", map}}).dump());
    }

    /// Part and name; empty for what diffusers does not save.
    std::pair<std::string, std::string> diffusers_name(const std::string& name) const {
        const std::string unet = "model.diffusion_model.", vae = "first_stage_model.",
                          text = "cond_stage_model.transformer.";
        if (name.rfind(unet, 0) == 0) return {"unet", unet_name(name.substr(unet.size()))};
        if (name.rfind(vae, 0) == 0) return {"vae", vae_name(name.substr(vae.size()))};
        if (name.rfind(text, 0) == 0) return {"text_encoder", name.substr(text.size())};
        return {};
    }

    static std::string with(std::string name, const Rules& rules) {
        for (const auto& [from, to] : rules)
            if (const std::size_t at = name.find(from); at != std::string::npos)
                return name.replace(at, from.size(), to);
        return name;
    }
    static std::vector<std::string> split(const std::string& name) {
        std::vector<std::string> words{""};
        for (const char c : name)
            if (c == '.')
                words.emplace_back();
            else
                words.back() += c;
        return words;
    }
    static std::string from_word(const std::vector<std::string>& words, std::size_t first) {
        std::string rest;
        for (std::size_t i = first; i < words.size(); ++i) rest += (i > first ? "." : "") + words[i];
        return rest;
    }

    std::string unet_name(const std::string& name) const {
        const Rules resnet{{"in_layers.0.", "norm1."},          {"in_layers.2.", "conv1."},
                           {"out_layers.0.", "norm2."},         {"out_layers.3.", "conv2."},
                           {"emb_layers.1.", "time_emb_proj."}, {"skip_connection.", "conv_shortcut."}};
        const auto words = split(name);
        if (words[0] == "time_embed")
            return with(name,
                        {{"time_embed.0.", "time_embedding.linear_1."}, {"time_embed.2.", "time_embedding.linear_2."}});
        if (words[0] == "out") return with(name, {{"out.0.", "conv_norm_out."}, {"out.2.", "conv_out."}});
        if (words[0] == "middle_block") {
            const std::string rest = from_word(words, 2);
            if (words[1] == "1") return "mid_block.attentions.0." + rest;
            return fmt::format("mid_block.resnets.{}.{}", words[1] == "0" ? 0 : 1, with(rest, resnet));
        }
        const unsigned n = static_cast<unsigned>(std::stoul(words[1])), step = resnets_ + 1;
        const std::string rest = from_word(words, 3);
        if (words[0] == "input_blocks") {
            if (n == 0) return "conv_in." + rest;
            const std::string block = fmt::format("down_blocks.{}.", (n - 1) / step);
            if (rest.rfind("op.", 0) == 0) return block + "downsamplers.0.conv." + rest.substr(3);
            return fmt::format("{}{}.{}.{}", block, words[2] == "0" ? "resnets" : "attentions", (n - 1) % step,
                               with(rest, resnet));
        }
        const std::string block = fmt::format("up_blocks.{}.", n / step);
        if (words[2] == "0") return block + fmt::format("resnets.{}.", n % step) + with(rest, resnet);
        if (rest.rfind("conv.", 0) == 0) return block + "upsamplers.0.conv." + rest.substr(5);
        return block + fmt::format("attentions.{}.", n % step) + rest;
    }

    std::string vae_name(const std::string& name) const {
        const Rules attention = options_.old_attention ? Rules{{".norm.", ".group_norm."},
                                                               {".q.", ".query."},
                                                               {".k.", ".key."},
                                                               {".v.", ".value."},
                                                               {".proj_out.", ".proj_attn."}}
                                                       : Rules{{".norm.", ".group_norm."},
                                                               {".q.", ".to_q."},
                                                               {".k.", ".to_k."},
                                                               {".v.", ".to_v."},
                                                               {".proj_out.", ".to_out.0."}};
        const auto words = split(name);
        if (words.size() < 3 || words[1] == "conv_in" || words[1] == "conv_out") return name;
        if (words[1] == "norm_out") return with(name, {{".norm_out.", ".conv_norm_out."}});
        if (words[1] == "mid") {
            const std::string rest = "." + from_word(words, 3);
            if (words[2] == "attn_1") return words[0] + ".mid_block.attentions.0" + with(rest, attention);
            return fmt::format("{}.mid_block.resnets.{}{}", words[0], words[2] == "block_1" ? 0 : 1,
                               with(rest, {{"nin_shortcut", "conv_shortcut"}}));
        }
        const bool up = words[1] == "up";
        const unsigned level = static_cast<unsigned>(std::stoul(words[2]));
        const std::string block = fmt::format("{}.{}_blocks.{}.", words[0], words[1], up ? levels_ - 1 - level : level);
        if (words[3] != "block") return block + words[3] + "rs.0." + from_word(words, 4);  // downsamplers, upsamplers
        return block + "resnets." + with(from_word(words, 4), {{"nin_shortcut", "conv_shortcut"}});
    }

    DiffusersOptions options_;
    std::string file_;
    nlohmann::json header_, config_;
    std::size_t data_ = 0;
    unsigned resnets_ = 2, levels_ = 4;
};

}  // namespace pumice::test
