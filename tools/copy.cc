// `benchfs cp`, `benchfs put`, `benchfs get`, `benchfs cat`: files between here and there. They
// differ in how the command line tells the sides apart; the copying is the same.
#include <sys/stat.h>
#include <unistd.h>

#include "copier.hpp"

namespace benchfs::tools {
namespace {

using Words = std::vector<std::string>;
constexpr std::string_view kPrefix = "benchfs:";

/// A path of the command line, and the side that it is on.
struct Place {
  FileTree* tree;
  std::string path;
  bool standard = false;  ///< "-": standard input or output
};

/// Where `source` goes in the directory `target`.
std::string into(const std::string& target, const std::string& source) {
  const std::string name = base_name(source);
  // What has no name of its own gives what is in it.
  return name.empty() || name == "." || name == ".." ? target : joined(target, name);
}

int copy_all(Files& files, const CopyOptions& options, const std::vector<Place>& sources,
             const Place& target) {
  Node there;
  const bool directory =
      !target.standard && target.tree->stat(target.path, true, there) == 0 && S_ISDIR(there.mode);
  if (!directory && !target.standard && sources.size() > 1) {
    files.complain(target.tree->shown(target.path), "not a directory, for several files");
    return kFailure;
  }
  Copier copier(files, options);
  const auto input = stream_of(STDIN_FILENO), output = stream_of(STDOUT_FILENO);
  for (const Place& source : sources) {
    if (target.standard) {
      copier.copy_stream(*source.tree, source.path, *output, "standard output");
    } else if (!source.standard) {
      copier.copy(*source.tree, source.path, *target.tree,
                  directory ? into(target.path, source.path) : target.path);
    } else if (directory) {
      copier.complain(target.tree->shown(target.path),
                      "standard input needs a name, not a directory");
    } else {
      copier.copy_stream(*input, "standard input", *target.tree, target.path, 0666);
    }
  }
  copier.finish();
  return files.status();
}

int put(Files& files, const Words& words, const CopyOptions& options) {
  const auto here = local_tree(), there = benchfs_tree(files);
  std::vector<Place> sources;
  for (std::size_t i = 0; i + 1 < words.size(); ++i) {
    sources.push_back({here.get(), words[i], words[i] == "-"});
  }
  return copy_all(files, options, sources, {there.get(), path_of(words.back())});
}

int get(Files& files, const Words& words, const CopyOptions& options) {
  const auto here = local_tree(), there = benchfs_tree(files);
  std::vector<Place> sources;
  for (std::size_t i = 0; i + 1 < words.size(); ++i) {
    sources.push_back({there.get(), path_of(words[i])});
  }
  const std::string& target = words.back();
  return copy_all(files, options, sources, {here.get(), target, target == "-"});
}

int cp(Files& files, const Words& words, const CopyOptions& options) {
  const auto here = local_tree(), there = benchfs_tree(files);
  const auto place_of = [&](const std::string& word) {
    return word.starts_with(kPrefix) ? Place{there.get(), path_of(word)} : Place{here.get(), word};
  };
  std::vector<Place> sources;
  const Place target = place_of(words.back());
  for (std::size_t i = 0; i + 1 < words.size(); ++i) {
    sources.push_back(place_of(words[i]));
    if (sources.back().tree == here.get() && target.tree == here.get()) {
      print_error("cp", fmt::format("both {} and {} are on this machine: a path of the file system "
                                    "begins with {}",
                                    words[i], words.back(), kPrefix));
      return kUsage;
    }
  }
  return copy_all(files, options, sources, target);
}

int cat(Files& files, const Words& words) {
  const auto there = benchfs_tree(files);
  std::vector<Place> sources;
  for (const std::string& word : words) sources.push_back({there.get(), path_of(word)});
  return copy_all(files, {.jobs = 1}, sources, {nullptr, "-", true});
}

Command copy_command(CLI::App* app, const char* names, const char* help,
                     int (*run)(Files& files, const Words& words, const CopyOptions& options)) {
  auto options = std::make_shared<CopyOptions>();
  auto words = std::make_shared<Words>();
  app->add_option(names, *words, help)->type_name("");
  app->add_flag("-r,-R,--recursive", options->recursive,
                "Directories with all below them; symbolic links stay links");
  app->add_flag("-p,--preserve", options->preserve,
                "Keep mode, times, extended attributes and, where allowed, owner");
  app->add_flag(
      "--resume", options->resume,
      "Leave files of the same size and time alone, and write of others only what differs");
  app->add_flag("--verify", options->verify, "Read back what was written, and compare checksums");
  app->add_flag("--progress", options->progress, "Show how far it is");
  app->add_option("-j,--jobs", options->jobs, "Files, and blocks of large files, in flight")
      ->check(CLI::Range(1u, 64u))
      ->type_name("N")
      ->capture_default_str();
  return files_command(
      app, std::make_shared<Where>(), words, 2,
      [options, run](Files& files, const Words& given) { return run(files, given, *options); });
}

}  // namespace

Command make_cat(CLI::App& benchfs) {
  auto words = std::make_shared<Words>();
  CLI::App* app = benchfs.add_subcommand("cat", "Write files to standard output");
  app->add_option("PATH", *words, "Files")->type_name("");
  return files_command(app, std::make_shared<Where>(), words, 1, cat);
}

Command make_cp(CLI::App& benchfs) {
  CLI::App* app = benchfs.add_subcommand("cp", "Copy files to, from and within the file system");
  app->footer(
      "Paths of the file system begin with benchfs: here, those without are this machine's.");
  return copy_command(app, "SOURCE... TARGET", "What to copy, then a name or directory", cp);
}

Command make_put(CLI::App& benchfs) {
  return copy_command(
      benchfs.add_subcommand("put", "Copy files of this machine into the file system"),
      "LOCAL... PATH", "Files (- is standard input), then a name or directory", put);
}

Command make_get(CLI::App& benchfs) {
  return copy_command(benchfs.add_subcommand("get", "Copy files out of the file system"),
                      "PATH... LOCAL",
                      "Files, then a name or directory here (- is standard output)", get);
}

}  // namespace benchfs::tools
