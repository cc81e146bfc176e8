/*
 * files.c - makes and removes files of BenchFS through its C interface:
 *
 *     files make NAME...       each of 64 bytes
 *     files remove NAME...     fails if one is not there
 */
#include <benchfs.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

static int make(benchfs_t* fs, const char* name) {
  const char content[64] = "";
  benchfs_file_t* file;
  int failed;

  if (benchfs_open(fs, name, O_CREAT | O_WRONLY, 0644, 0, &file) != 0) return 1;
  failed = benchfs_pwrite(file, content, sizeof(content), 0) != (int64_t)sizeof(content);
  return benchfs_close(file) != 0 || failed;
}

int main(int argc, char** argv) {
  benchfs_t* fs;
  int failed = 0;

  if (argc < 2 || (strcmp(argv[1], "make") != 0 && strcmp(argv[1], "remove") != 0)) {
    fprintf(stderr, "usage: files make|remove NAME...\n");
    return 2;
  }
  if (benchfs_connect(NULL, &fs) != 0) {
    fprintf(stderr, "files: %s\n", benchfs_error());
    return 1;
  }
  for (int i = 2; i < argc; i++) {
    if (argv[1][0] == 'm' ? make(fs, argv[i]) == 0 : benchfs_unlink(fs, argv[i]) == 0) continue;
    fprintf(stderr, "files: %s\n", benchfs_error());
    failed = 1;
  }
  benchfs_disconnect(fs);
  return failed;
}
