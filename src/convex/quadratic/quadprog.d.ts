/** The part of quadprog that is used; arrays begin at 1, their entry 0 is not looked at. */
declare module "quadprog" {
  export function solveQP(
    Dmat: number[][],
    dvec: number[],
    Amat: number[][],
    bvec: number[],
    meq: number,
  ): { readonly solution: number[]; readonly message: string; readonly iact: number[] };
}
