// A picture's texts of any bytes. The first byte says which reader gets the rest: a whole PNG, or one of the three texts,
// which a PNG's sums would keep from most mutations.
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "image/recipe.hpp"

namespace {

using namespace pumice;
using namespace pumice::host;

void require(bool holds, const char* what) {
    if (holds) return;
    std::fprintf(stderr, "does not hold: %s\n", what);
    std::abort();
}

void check_failure(const Failure& failure) {
    require(failure.message.starts_with("FILE"), "the message names the file");
    require(failure.message.find('\n') == std::string::npos, "the message is one line");
    require(failure.status == PUMICE_BAD_FORMAT || failure.status == PUMICE_UNSUPPORTED, "damaged input is bad input");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
    Expected<Recipe> recipe = Recipe{};
    switch (data[0]) {
        case 'a':
            recipe = parse_infotext(text, "FILE");
            break;
        case 'c':
            recipe = parse_comfy_prompt(text, "FILE");
            break;
        case 'p':
            recipe = parse_recipe_text(text, "FILE");
            break;
        default: {
            const auto texts = decode_png_texts({data, size}, "FILE");
            if (!texts) {
                check_failure(texts.failure());
                return 0;
            }
            recipe = read_recipe(texts->texts, "FILE");
        }
    }
    if (!recipe) {
        check_failure(recipe.failure());
        return 0;
    }
    // What was understood can be written, and says the same again.
    const std::string written = recipe_text(*recipe);
    const auto again = parse_recipe_text(written, "FILE");
    require(static_cast<bool>(again), "what was written can be read");
    require(recipe_text(*again) == written, "and says the same");
    return 0;
}
