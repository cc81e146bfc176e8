// `benchfs setfattr` and `benchfs getfattr`: extended attributes, in the forms of setfattr(1) and
// getfattr(1).
#include <regex.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>

#include "base/text.hpp"
#include "files.hpp"

namespace benchfs::tools {
namespace {

using Words = std::vector<std::string>;

// ---- values as text ----

std::string text_of(const std::vector<std::byte>& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::span<const std::byte> bytes_of(const std::string& text) {
  return std::as_bytes(std::span{text.data(), text.size()});
}

bool is_octal(char c) {
  return c >= '0' && c <= '7';
}

/// "0x..." is hexadecimal, "0s..." base64, the rest text, perhaps in double quotes, in which "\012"
/// is a byte in octal and "\\" a backslash. Nothing if it is none of that.
std::optional<std::string> decoded(std::string text) {
  const std::string_view kind = std::string_view(text).substr(0, 2);
  if (kind == "0x" || kind == "0X" || kind == "0s" || kind == "0S") {
    const bool hexadecimal = kind[1] == 'x' || kind[1] == 'X';
    const auto bytes = hexadecimal ? from_hex(text.substr(2)) : from_base64(text.substr(2));
    if (!bytes) return std::nullopt;
    return text_of(*bytes);
  }
  if (text.size() >= 2 && text.front() == '"' && text.back() == '"') {
    text = text.substr(1, text.size() - 2);
  }
  std::string value;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\' || i + 1 == text.size()) {
      value += text[i];
    } else if (i + 3 < text.size() && is_octal(text[i + 1]) && is_octal(text[i + 2]) &&
               is_octal(text[i + 3])) {
      value += static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 +
                                 (text[i + 3] - '0'));
      i += 3;
    } else {
      value += text[++i];
    }
  }
  return value;
}

std::string quoted(const std::string& value) {
  std::string text = "\"";
  for (const char c : value) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      text += '\\';
      text += c;
    } else if (byte < 0x20 || byte == 0x7f) {
      text += fmt::format("\\{:03o}", byte);
    } else {
      text += c;
    }
  }
  return text + '"';
}

/// `encoding`: text, hex, base64, or nothing: text for what can mostly be read, as getfattr(1).
std::string encoded(const std::string& value, const std::string& encoding) {
  std::size_t odd = 0;
  for (const char c : value) odd += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? 1 : 0;
  const bool readable = odd * 8 <= value.size();
  if (encoding == "text" || (encoding.empty() && readable)) return quoted(value);
  if (encoding == "hex") return "0x" + to_hex(bytes_of(value));
  return "0s" + to_base64(bytes_of(value));
}

// ---- setfattr ----

struct SetOptions {
  std::string name, value, remove;
  bool itself = false;
};

int set_xattrs(Files& files, const Words& words, const SetOptions& options) {
  const auto value = decoded(options.value);
  if (!value) {
    print_error("setfattr", options.value + ": not a value: hexadecimal digits or base64 expected");
    return kUsage;
  }
  const int flags = options.itself ? BENCHFS_NOFOLLOW : 0;
  for (const std::string& word : words) {
    const std::string path = path_of(word);
    const int error = options.remove.empty()
                          ? benchfs_setxattr(files, path.c_str(), options.name.c_str(),
                                             value->data(), value->size(), flags)
                          : benchfs_removexattr(files, path.c_str(), options.remove.c_str(), flags);
    if (error != 0) files.complain(path, error);
  }
  return files.status();
}

// ---- getfattr ----

struct GetOptions {
  std::string name, pattern, encoding;
  bool dump = false, only_values = false, recursive = false, itself = false;
};

class Shower {
 public:
  Shower(Files& files, const GetOptions& options) : files_(files), options_(options) {}
  ~Shower() {
    if (compiled_) regfree(&pattern_);
  }
  Shower(const Shower&) = delete;
  Shower& operator=(const Shower&) = delete;

  int run(const Words& words) {
    const bool all = options_.pattern.empty() || options_.pattern == "-";
    compiled_ = !all && regcomp(&pattern_, options_.pattern.c_str(), REG_EXTENDED | REG_NOSUB) == 0;
    if (!all && !compiled_) {
      print_error("getfattr", options_.pattern + ": not a regular expression");
      return kUsage;
    }
    for (const std::string& word : words) {
      const std::string path = path_of(word);
      const auto st = files_.stat(path, !options_.itself);
      if (st) show_all(path, S_ISDIR(st->mode), options_.itself ? BENCHFS_NOFOLLOW : 0);
    }
    return files_.status();
  }

 private:
  void show_all(const std::string& path, bool directory, int flags) {
    show(path, flags);
    if (!options_.recursive || !directory) return;
    std::vector<Entry> below;
    files_.each_entry(path, 0, [&](const Entry& entry) { below.push_back(entry); });
    for (const Entry& entry : below) {
      show_all(joined(path, entry.name), S_ISDIR(entry.type), BENCHFS_NOFOLLOW);
    }
  }

  void show(const std::string& path, int flags) {
    std::vector<std::string> names{options_.name};
    if (options_.name.empty()) {
      const int error = files_.xattr_names(path, flags, names);
      if (error != 0) return files_.complain(path, error);
    }
    std::string text;
    for (const std::string& name : names) {
      if (compiled_ && regexec(&pattern_, name.c_str(), 0, nullptr, 0) != 0) continue;
      text += name;
      if (options_.dump || options_.only_values || !options_.name.empty()) {
        std::string value;
        const int error = files_.xattr(path, name, flags, value);
        if (error != 0) return files_.complain(path, error);
        if (options_.only_values) {
          put_out(value);
          continue;
        }
        text += "=" + encoded(value, options_.encoding);
      }
      text += "\n";
    }
    if (options_.only_values || text.empty()) return;
    // As getfattr(1) has it, so that setfattr --restore elsewhere would find the file.
    const std::size_t begin = path.find_first_not_of('/');
    put_out("# file: " + shown(begin == std::string::npos ? "." : path.substr(begin)) + "\n");
    put_out(text + "\n");
  }

  Files& files_;
  GetOptions options_;
  regex_t pattern_{};
  bool compiled_ = false;
};

}  // namespace

Command make_setfattr(CLI::App& benchfs) {
  auto options = std::make_shared<SetOptions>();
  auto words = std::make_shared<Words>();
  CLI::App* app = benchfs.add_subcommand("setfattr", "Set or remove extended attributes");
  app->add_option("PATH", *words, "Files and directories")->type_name("");
  auto* name = app->add_option("-n,--name", options->name, "The attribute to set, such as user.run")
                   ->type_name("NAME");
  auto* value = app->add_option("-v,--value", options->value,
                                "Its value: text, 0x and hexadecimal digits, or 0s and base64")
                    ->type_name("VALUE");
  auto* remove =
      app->add_option("-x,--remove", options->remove, "The attribute to remove")->type_name("NAME");
  remove->excludes(name)->excludes(value);
  app->add_flag("--no-dereference", options->itself, "Of a symbolic link itself");
  return files_command(app, std::make_shared<Where>(), words, 1,
                       [options](Files& files, const Words& given) {
                         if (!options->name.empty() || !options->remove.empty()) {
                           return set_xattrs(files, given, *options);
                         }
                         print_error("setfattr", "neither -n NAME nor -x NAME is given");
                         return kUsage;
                       });
}

Command make_getfattr(CLI::App& benchfs) {
  auto options = std::make_shared<GetOptions>();
  auto words = std::make_shared<Words>();
  CLI::App* app = benchfs.add_subcommand("getfattr", "Show extended attributes");
  app->add_option("PATH", *words, "Files and directories")->type_name("");
  app->add_option("-n,--name", options->name, "Only this attribute, with its value")
      ->type_name("NAME");
  app->add_option("-m,--match", options->pattern, "Only names that match the regular expression")
      ->type_name("PATTERN");
  app->add_flag("-d,--dump", options->dump, "Values, too");
  app->add_option("-e,--encoding", options->encoding, "How values are shown")
      ->check(CLI::IsMember({"text", "hex", "base64"}))
      ->type_name("text|hex|base64");
  app->add_flag("--only-values", options->only_values, "The values as they are, and nothing else");
  app->add_flag("-R,--recursive", options->recursive, "Of all below directories, too");
  app->add_flag("--no-dereference", options->itself, "Of a symbolic link itself");
  return files_command(
      app, std::make_shared<Where>(), words, 1,
      [options](Files& files, const Words& given) { return Shower(files, *options).run(given); });
}

}  // namespace benchfs::tools
