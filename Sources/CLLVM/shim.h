// LLVM's C interface; the manifest finds the folder with llvm-config.
#pragma once
#include <llvm-c/Analysis.h>
#include <llvm-c/Core.h>
#include <llvm-c/Error.h>
#include <llvm-c/LLJIT.h>
#include <llvm-c/Object.h>
#include <llvm-c/Orc.h>
#include <llvm-c/OrcEE.h>
#include <llvm-c/Target.h>
#include <llvm-c/TargetMachine.h>
#include <llvm-c/Transforms/PassBuilder.h>
#include <llvm/Config/llvm-config.h>
#include <stdlib.h>

/// The library's version, as it was when this was compiled.
static inline const char *millrace_llvm_version(void) { return LLVM_VERSION_STRING; }

/// Lets code in `dylib` call the function at `address` by `name`. The types of the table are named differently from
/// release to release, so it is filled here.
static inline LLVMErrorRef millrace_define_symbol(LLVMOrcLLJITRef jit, LLVMOrcJITDylibRef dylib, const char *name,
                                                  uint64_t address) {
  LLVMOrcCSymbolMapPairs pair = (LLVMOrcCSymbolMapPairs)malloc(sizeof *pair);
  if (pair == NULL) return LLVMCreateStringError("no memory");
  pair->Name = LLVMOrcLLJITMangleAndIntern(jit, name);
  pair->Sym.Address = address;
  pair->Sym.Flags.GenericFlags = LLVMJITSymbolGenericFlagsExported | LLVMJITSymbolGenericFlagsCallable;
  pair->Sym.Flags.TargetFlags = 0;
  LLVMErrorRef error = LLVMOrcJITDylibDefine(dylib, LLVMOrcAbsoluteSymbols(pair, 1));
  free(pair);
  return error;
}
