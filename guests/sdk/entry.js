// The component's entry: the build puts the author's module where "chorus:script" is.

import "./globals.js";
import Script from "chorus:script";
import { serve } from "./guest.js";

export const { describe, call, warnings, offer } = serve(Script);
