// Build step: compiles every variant of one shader, validates it with spirv-val and writes a C++ source that holds the
// words. Usage: embed_shaders SHADER.comp INCLUDE_FOLDER SPIRV_VAL OUTPUT.cpp
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "kernels/shader_compiler.hpp"

namespace {

bool valid(const std::string& spirv_val, const std::filesystem::path& module) {
    const std::string command = "'" + spirv_val + "' --target-env vulkan1.2 '" + module.string() + "'";
    return std::system(command.c_str()) == 0;
}

bool write_words(const std::filesystem::path& file, const std::vector<std::uint32_t>& words) {
    std::ofstream out(file, std::ios::binary);
    out.write(reinterpret_cast<const char*>(words.data()), static_cast<std::streamsize>(words.size() * 4));
    return out.good();
}

void print_array(std::ofstream& out, std::size_t index, const std::vector<std::uint32_t>& words) {
    out << "const std::uint32_t words" << index << "[] = {";
    for (std::size_t i = 0; i < words.size(); ++i) out << (i % 16 == 0 ? "\n" : "") << words[i] << "u,";
    out << "\n};\n";
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 5) {
        std::fprintf(stderr, "usage: embed_shaders SHADER.comp INCLUDE_FOLDER SPIRV_VAL OUTPUT.cpp\n");
        return 2;
    }
    const std::filesystem::path shader = argv[1], output = argv[4];
    const auto variants = pumice::parse_shader_variants(shader);
    if (!variants) {
        std::fprintf(stderr, "%s\n", variants.error().message.c_str());
        return 1;
    }
    std::filesystem::create_directories(output.parent_path());
    const std::filesystem::path unfinished = output.string() + ".tmp";
    std::ofstream out(unfinished);
    out << "// Made by embed_shaders from " << shader.filename().string() << ".\n"
        << "#include \"kernels/embedded.hpp\"\n\nnamespace {\n";
    std::string table;
    std::size_t index = 0;
    for (const auto& variant : *variants) {
        const auto words = pumice::compile_shader(shader, variant, argv[2]);
        if (!words && words.error().code == pumice::Code::unsupported) {
            std::fprintf(stderr, "note: %s is left out, the installed shaderc is too old for it\n",
                         variant.name.c_str());
            continue;
        }
        if (!words) {
            std::fprintf(stderr, "%s\n", words.error().message.c_str());
            return 1;
        }
        const std::filesystem::path module = output.string() + ".spv";
        if (!write_words(module, *words) || !valid(argv[3], module)) {
            std::fprintf(stderr, "%s: %s does not validate\n", shader.c_str(), variant.name.c_str());
            return 1;
        }
        std::filesystem::remove(module);
        print_array(out, index, *words);
        table += "    {\"" + variant.name + "\", words" + std::to_string(index) + "},\n";
        ++index;
    }
    const std::string symbol = "shaders_" + shader.stem().string();
    out << "}  // namespace\n\nnamespace pumice {\nextern const EmbeddedModules " << symbol << ";\n";
    if (index > 0)
        out << "static const EmbeddedModule modules[] = {\n" << table << "};\nconst EmbeddedModules " << symbol
            << " = {modules};\n";
    else
        out << "const EmbeddedModules " << symbol << " = {};\n";
    out << "}  // namespace pumice\n";
    out.close();
    if (!out) {
        std::fprintf(stderr, "cannot write %s\n", unfinished.c_str());
        return 1;
    }
    std::filesystem::rename(unfinished, output);
    return 0;
}
