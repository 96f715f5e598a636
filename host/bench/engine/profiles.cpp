#include "bench/engine/profiles.hpp"

#include <algorithm>

namespace pumice::bench {
namespace {

std::string sized(const std::string& prefix, const char* what, std::uint32_t side) {
    return prefix + "-" + what + std::to_string(side);
}

/// Everything that is measured at one size.
Group all_kinds(const std::string& prefix, Weights weights, std::uint32_t side, std::uint32_t steps) {
    return {prefix,
            weights,
            {{sized(prefix, "", side) + "-b1", Kind::picture, side, side, steps, 1, true},
             {sized(prefix, "", side) + "-b4", Kind::picture, side, side, steps, 4},
             {sized(prefix, "img2img-", side), Kind::from_picture, side, side, steps, 1},
             {sized(prefix, "control-", side), Kind::control, side, side, steps, 1},
             {sized(prefix, "vae-", side), Kind::decode, side, side, 0, 1},
             {sized(prefix, "vae-", 2 * side), Kind::decode, 2 * side, 2 * side, 0, 1},
             {prefix + "-text", Kind::text, side, side, 0, 1}}};
}

Group xl(Weights weights) {
    return {"sdxl",
            weights,
            {{"sdxl-1024-b1", Kind::picture, 1024, 1024, 20, 1, true}, {"sdxl-text", Kind::text, 1024, 1024, 0, 1}}};
}

}  // namespace

const char* to_string(Kind kind) {
    switch (kind) {
        case Kind::text:
            return "text";
        case Kind::picture:
            return "picture";
        case Kind::from_picture:
            return "img2img";
        case Kind::control:
            return "control";
        case Kind::decode:
            return "decode";
    }
    return "";
}

std::vector<Group> random_groups() {
    return {all_kinds("sd15", Weights::random_sd15, 512, 20), xl(Weights::random_sdxl)};
}

Group given_group(const std::string& family, std::uint32_t side) {
    if (family == "sdxl") return xl(Weights::given);
    return all_kinds(family == "sd1" ? "sd15" : family, Weights::given, side, 20);
}

Group quick_group() {
    return all_kinds("starter", Weights::given, 128, 4);
}

std::vector<Group> choose(std::vector<Group> groups, const std::string& only) {
    for (Group& group : groups)
        std::erase_if(group.profiles, [&](const Profile& p) { return p.name.find(only) == std::string::npos; });
    std::erase_if(groups, [](const Group& g) { return g.profiles.empty(); });
    return groups;
}

}  // namespace pumice::bench
